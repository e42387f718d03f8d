// SPDX-License-Identifier: GPL-3.0-or-later
//
// A hypervisor at EL2 that holds a guest of its own, bare: an EL1 program inside the same image, whose addresses are
// intermediate physical ones (its own MMU is off). Stage 2 gives it its image, a stack page on demand, and nothing
// else; HCR_EL2 and its kin trap what the hypervisor wants to do itself. It prints each exit with its class and
// syndrome.
//
//   hypervisor.S          EL2: stage 2, exits, emulation, injection
//   hypervisor-inner.inc  the guest, at EL1
//
// An exit by a timer that runs at its own pace must not come earlier on one machine than on another: the timer's
// interrupt is enabled only while the guest waits in WFI.
//
// Marks: 1 before the first entry · 2 an exit · 3 before the entry after it · 4 a list register is filled · 5 the end
//        (11 and up: the inner guest)

.include "guest.inc"

.text
.include "memory.inc"
.include "interrupts.inc"

.set INNER_DEVICE, 0x09000000          // not mapped at stage 2: every access comes to the hypervisor
.set INNER_NOWHERE, 0x0a000000
.set INNER_RAM, 0x80100000             // mapped on demand
.set INNER_RAM_SIZE, 0x10000
.set INNER_STACK_TOP, INNER_RAM + 0x1000

// The inner guest's calls: the number of the HVC, X0 its argument.
.set CALL_END, 0
.set CALL_PRINT, 1
.set CALL_REPORT, 2

.set VTCR, 1 << 31 | 2 << 16 | 3 << 12 | 1 << 10 | 1 << 8 | 1 << 6 | 25     // 39-bit addresses, from level 1
.set VMID, 1
.set GUEST_CONTROLS, HCR_RW | HCR_VM | HCR_IMO | HCR_FMO | HCR_TWI | HCR_TSC | HCR_TID3
.set CPTR_RES1, 0x33ff
.set CPTR_TFP, 1 << 10
.set INNER_MPIDR, 0x80000005
.set INNER_MIDR, 0x4d4f434b
.set BELIEVED_VALUE, 0x1122
.set DEVICE_VALUE, 0x8786858483828180  // its lowest byte is negative

.set ICH_LR_PENDING, 1 << 62
.set ICH_LR_HW, 1 << 61
.set ICH_LR_GROUP1, 1 << 60
.set ICH_LR_PRIORITY, PRIORITY_DEFAULT << 48
.set ICH_LR_EOI, 1 << 41
.set INTERRUPT_MAINTENANCE, 25
.set ICC_CTLR_EOIMODE, 1 << 1

.set ISS_SGI1R, 3 << 20 | 5 << 17 | 0 << 14 | 12 << 10 | 11 << 1            // Rt left out
.set ISS_RT, 31 << 5

function kernel_main
  mov x0, #VECTOR_LOWER_SYNCHRONOUS
  address x1, synchronous_exit
  bl set_handler
  mov x0, #VECTOR_LOWER_IRQ
  address x1, interrupt_exit
  bl set_handler
  bl set_up_interrupts
  mov x0, #ICC_CTLR_EOIMODE            // EOIR drops the priority; deactivation is the guest's
  msr icc_ctlr_el1, x0
  mov x0, #INTERRUPT_MAINTENANCE
  mov w1, #PRIORITY_DEFAULT
  bl enable_interrupt

place build_stage_2
  ldr x19, =user_start
1:
  mov x1, x19
  ldr x0, =user_start
  sub x2, x19, x0
  ldr x0, =user_load_start
  add x2, x2, x0
  bl map_guest_page
  add x19, x19, #0x1000
  ldr x0, =user_end
  cmp x19, x0
  b.lo 1b

place set_guest_controls
  set_system vtcr_el2, VTCR
  address x0, stage_2_root
  mov x1, #VMID << 48
  orr x0, x0, x1
  msr vttbr_el2, x0
  set_system vmpidr_el2, INNER_MPIDR
  set_system vpidr_el2, INNER_MIDR
  set_system cptr_el2, CPTR_RES1 | CPTR_TFP
  msr cnthctl_el2, xzr                 // the physical counter and timer trap
  msr cntvoff_el2, xzr
  set_system ich_hcr_el2, 1
  msr ich_lr0_el2, xzr
  msr ich_lr1_el2, xzr
  set_system sctlr_el1, SCTLR_EL1_RES1 // the guest's MMU and caches are off
  set_system hcr_el2, GUEST_CONTROLS
  isb
  tlbi alle1
  dsb sy
  isb

  print "EL2: entering the guest\n"
  mark 1
place the_first_entry
  ldr x0, =inner_main
  msr elr_el2, x0
  mov x0, #SPSR_DAIF | SPSR_EL1H
  msr spsr_el2, x0
  mov x0, #0
  eret

// map_guest_page(x1 IPA, x2 physical address)
function map_guest_page
  push x29, x30
  ldr x0, =S2_PAGE | S2_NORMAL | S2_READ | S2_WRITE | S2_SHARED | S2_AF
  orr x2, x2, x0
  address x0, stage_2_root
  address x3, pool
  mov w4, #SHIFT_LEVEL1
  mov w5, #SHIFT_LEVEL3
  bl map_between
  pop x29, x30
  ret

// ---- Exits --------------------------------------------------------------------------------------------------------

// X0: frame. Each class has a function: x19 frame, x20 syndrome without its class. The guest goes on at the frame's
// ELR.
function synchronous_exit
  push x29, x30
  push x19, x20
  push x21, x22
  mov x19, x0
  mark 2
  bl count_exit
  ldr x20, [x19, #FRAME_ESR]
  print ": class "
  lsr x0, x20, #EC_SHIFT
  bl print_hex
  print ", syndrome "
  and x0, x20, #0x1ffffff
  bl print_hex
  lsr x1, x20, #EC_SHIFT
  and x20, x20, #0x1ffffff
  address x0, exits
1:
  ldp x2, x3, [x0], #16
  cbz x3, unknown_exit
  cmp x1, x2
  b.ne 1b
  blr x3
  print "\n"
  mark 3
  mov x0, x19
  pop x21, x22
  pop x19, x20
  pop x29, x30
  ret

unknown_exit:
  print "\n"
  mov x0, x19
  b unexpected_exception

function count_exit
  push x29, x30
  address x1, exit_count
  ldr x0, [x1]
  add x0, x0, #1
  str x0, [x1]
  push x0, x1
  print "exit "
  pop x0, x1
  bl print_decimal
  pop x29, x30
  ret

// The trapped instruction is done: the guest goes on behind it.
.macro skip_instruction
  ldr x0, [x19, #FRAME_ELR]
  add x0, x0, #4
  str x0, [x19, #FRAME_ELR]
.endm

function hvc_exit                      // ELR is behind the HVC already
  push x29, x30
  cmp x20, #CALL_PRINT
  b.eq 1f
  cmp x20, #CALL_REPORT
  b.eq 2f
  print ": the guest has ended\n"
  mark 5
  power_off
1:
  print ": "
  ldr x0, [x19, #FRAME_X0]
place the_guest_translation
  at s12e1r, x0                        // as the guest would reach it: both stages
  isb
  mrs x1, par_el1
  tbnz x1, #0, 3f
  and x1, x1, #PTE_ADDRESS
  and x0, x0, #0xfff
  orr x0, x0, x1
  bl print_string
  pop x29, x30
  ret
2:
  print ": the guest has "
  ldr x0, [x19, #FRAME_X0]
  bl print_hex
  pop x29, x30
  ret
3:
  print "text that is not there"
  pop x29, x30
  ret

function smc_exit                      // ELR is on the SMC: it was trapped, not done
  push x29, x30
  print ": no such firmware"
  mov x0, #-1
  str x0, [x19, #FRAME_X0]
  skip_instruction
  pop x29, x30
  ret

// Reads of identification registers and of the physical counter give what the hypervisor likes; of writes there is one.
function system_exit
  push x29, x30
  ubfx x21, x20, #5, #5                // Rt
  tbz x20, #0, 1f
  print ": read as "
  ldr x0, =BELIEVED_VALUE
  bl print_hex
  ldr x1, =BELIEVED_VALUE
  bl write_guest_register
  b 2f
1:
  and x0, x20, #~ISS_RT
  ldr x1, =ISS_SGI1R
  cmp x0, x1
  b.ne unknown_exit
  bl read_guest_register
  ubfx x0, x0, #24, #4
  orr x0, x0, #ICH_LR_EOI              // and tell when the guest is done with it
  mov x1, #ICH_LR_PENDING | ICH_LR_GROUP1
  orr x0, x0, x1
  mov x1, #ICH_LR_PRIORITY
  orr x0, x0, x1
  mark 4
  msr ich_lr1_el2, x0
  print ": interrupt by list register 1"
2:
  skip_instruction
  pop x29, x30
  ret

// write_guest_register(x21 number, x1 value), read_guest_register(x21 number): X0. Number 31 is the zero register.
write_guest_register:
  cmp x21, #31
  b.eq 1f
  str x1, [x19, x21, lsl #3]
1:
  ret

read_guest_register:
  mov x0, #0
  cmp x21, #31
  b.eq 1b
  ldr x0, [x19, x21, lsl #3]
  ret

// The guest's next SIMD instruction runs.
function simd_exit
  push x29, x30
  print ": SIMD is the guest's from now on"
  set_system cptr_el2, CPTR_RES1
  isb
  pop x29, x30
  ret

// Waits in the guest's stead until its timer's interrupt is pending; the entry that follows is left at once for it.
function wfi_exit
  push x29, x30
  mov x0, #INTERRUPT_VIRTUAL_TIMER
  mov w1, #PRIORITY_DEFAULT
  bl enable_interrupt
place the_host_wait
  wfi
  mrs x0, icc_hppir1_el1
  cmp x0, #INTERRUPT_VIRTUAL_TIMER
  b.ne the_host_wait
  print ": the timer has struck"
  skip_instruction
  pop x29, x30
  ret

// A stage-2 fault on data: RAM gets a page, a device is emulated if the syndrome says how, anything else is an external
// abort for the guest.
function data_abort_exit
  push x29, x30
  mrs x0, hpfar_el2
  and x0, x0, #~15
  ldr x1, [x19, #FRAME_FAR]
  and x1, x1, #0xfff
  orr x22, x1, x0, lsl #8              // intermediate physical address
  print ", at "
  print_hex_of x22
  constant x0, INNER_RAM
  sub x0, x22, x0
  cmp x0, #INNER_RAM_SIZE >> 12, lsl #12
  b.lo give_page
  constant x0, INNER_DEVICE
  eor x0, x0, x22
  lsr x0, x0, #12
  cbnz x0, inject_abort
  tbz x20, #24, inject_abort           // ISV
  ubfx x21, x20, #16, #5               // SRT
  tbnz x20, #6, device_write           // WnR

place device_read
  print ": device read"
  ldr x1, =DEVICE_VALUE
  ubfx x2, x20, #22, #2                // SAS: 1 << SAS bytes
  mov x3, #8
  lsl x3, x3, x2
  mov x4, #64
  sub x3, x4, x3                       // bits above the datum
  lsl x1, x1, x3
  asr x5, x1, x3
  lsr x1, x1, x3
  tst x20, #1 << 21                    // SSE
  csel x1, x5, x1, ne
  tst x20, #1 << 15                    // SF
  b.ne 1f
  mov w1, w1
1:
  bl write_guest_register
  b access_done

place device_write
  print ": device write of "
  bl read_guest_register
  and x0, x0, #0xffffffff
  bl print_hex
place access_done
  skip_instruction
  pop x29, x30
  ret

place give_page
  print ": page mapped"
  address x0, pool
  bl allocate_frame
  mov x2, x0
  and x1, x22, #~0xfff
  bl map_guest_page
  pop x29, x30
  ret

// What the hardware would do for an exception to EL1, done by hand.
place inject_abort
  print ": abort injected"
  mrs x0, far_el2
  msr far_el1, x0
  ldr x0, [x19, #FRAME_ELR]
  msr elr_el1, x0
  ldr x0, [x19, #FRAME_SPSR]
  msr spsr_el1, x0
  ldr x0, =EC_DATA_SAME << EC_SHIFT | ESR_IL | 0x10          // synchronous external abort
  msr esr_el1, x0
  mrs x0, vbar_el1
  add x0, x0, #VECTOR_SAME_SYNCHRONOUS * 128
  str x0, [x19, #FRAME_ELR]
  mov x0, #SPSR_DAIF | SPSR_EL1H
  str x0, [x19, #FRAME_SPSR]
  pop x29, x30
  ret

function fetch_abort_exit              // back to the caller
  push x29, x30
  print ", at "
  mrs x0, hpfar_el2
  and x0, x0, #~15
  lsl x0, x0, #8
  bl print_hex
  print ": nothing to run"
  ldr x0, [x19, #FRAME_X30]
  str x0, [x19, #FRAME_ELR]
  pop x29, x30
  ret

// X0: frame. The timer's interrupt goes on to the guest: a list register ties it to the physical one, so that the
// guest's end of interrupt ends that, too, without an exit. A maintenance interrupt says that the guest has ended one
// that had EOI.
function interrupt_exit
  push x29, x30
  push x19, x20
  push x21, x22
  mov x19, x0
  mark 2
  mrs x20, icc_iar1_el1
  bl count_exit
  print ": interrupt "
  print_decimal_of x20
  cmp x20, #INTERRUPT_MAINTENANCE
  b.eq 1f
  cmp x20, #INTERRUPT_VIRTUAL_TIMER
  b.ne 3f
  mov x0, #ICH_LR_PENDING | ICH_LR_HW | ICH_LR_GROUP1
  mov x1, #ICH_LR_PRIORITY
  orr x0, x0, x1
  mov x1, #INTERRUPT_VIRTUAL_TIMER
  orr x0, x0, x1                       // the virtual number
  orr x0, x0, x1, lsl #32              // and the physical one
  mark 4
place the_injection
  msr ich_lr0_el2, x0
  print ": on by list register 0, active "
  bl is_timer_active
  bl print_decimal
  b 2f
1:
  print ": list registers that have ended "
  mrs x0, ich_eisr_el2
  bl print_hex
  msr ich_lr1_el2, xzr
  print ", timer active "              // it was, until the guest's end of interrupt
  bl is_timer_active
  bl print_decimal
  isb
  msr icc_eoir1_el1, x20
  msr icc_dir_el1, x20
  isb
  b 3f
2:
  msr icc_eoir1_el1, x20               // drops the priority; the guest deactivates
  isb
3:
  print "\n"
  mark 3
  mov x0, x19
  pop x21, x22
  pop x19, x20
  pop x29, x30
  ret

is_timer_active:
  push x29, x30
  bl redistributor
  ldr w0, [x0, #GICR_ISACTIVER0]
  ubfx x0, x0, #INTERRUPT_VIRTUAL_TIMER, #1
  pop x29, x30
  ret

.include "hypervisor-inner.inc"

.section .rodata
.balign 8
exits:
  .quad EC_HVC, hvc_exit, EC_SMC, smc_exit, EC_SYSTEM, system_exit, EC_FP, simd_exit, EC_WFX, wfi_exit
  .quad EC_DATA_LOWER, data_abort_exit, EC_INSTRUCTION_LOWER, fetch_abort_exit, 0, 0

.data
.balign 8
pool:
  .quad 0x41000000

.bss
.balign 4096
place stage_2_root
  .skip 4096
place exit_count
  .skip 8
