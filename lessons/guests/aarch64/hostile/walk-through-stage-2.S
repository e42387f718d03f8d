// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile, but it ends: an EL1 guest whose translation tables lie where stage 2 has nothing. The fetch behind the
// instruction that turns its MMU on faults on the walk itself: an instruction abort to EL2 with S1PTW, and HPFAR_EL2
// has the table's address, not the code's. The level in the status is not printed: it must be that of stage 2, but
// some emulators give that of stage 1.

.include "guest.inc"

.text
.include "memory.inc"

.set VTCR, 1 << 31 | 2 << 16 | 3 << 12 | 1 << 10 | 1 << 8 | 1 << 6 | 25     // 39-bit addresses, from level 1
.set MISSING_TABLE, 0x123456000

function kernel_main
  mov x0, #VECTOR_LOWER_SYNCHRONOUS
  address x1, exit_handler
  bl set_handler
  address x0, stage_2_root
  ldr x1, =USER_BEGIN
  ldr x2, =user_load_start
  ldr x3, =S2_PAGE | S2_NORMAL | S2_READ | S2_SHARED | S2_AF
  orr x2, x2, x3
  address x3, pool
  mov w4, #SHIFT_LEVEL1
  mov w5, #SHIFT_LEVEL3
  bl map_between
  set_system vtcr_el2, VTCR
  address x0, stage_2_root
  msr vttbr_el2, x0
  set_system sctlr_el1, SCTLR_EL1_RES1
  set_system hcr_el2, HCR_RW | HCR_VM
  isb
  tlbi alle1
  dsb sy
  isb
  ldr x0, =inner_main
  msr elr_el2, x0
  mov x0, #SPSR_DAIF | SPSR_EL1H
  msr spsr_el2, x0
  eret

// X0: frame
function exit_handler
  ldr x19, [x0, #FRAME_ESR]
  print "walk-through-stage-2: class "
  lsr x0, x19, #EC_SHIFT
  bl print_hex
  print ", syndrome without level "
  and x0, x19, #0x1fffffc
  bl print_hex
  print ", HPFAR for "
  mrs x0, hpfar_el2
  and x0, x0, #~15
  lsl x0, x0, #8
  bl print_hex
  print "\n"
  power_off

.section .user, "ax"
place inner_main
  constant x0, MISSING_TABLE
  msr ttbr0_el1, x0
  constant x0, TCR_T0 | TCR_T1 | TCR_EL1_IPS
  msr tcr_el1, x0
  constant x0, MAIR
  msr mair_el1, x0
  isb
  constant x0, SCTLR_EL1_RES1 | SCTLR_M
place the_inner_mmu
  msr sctlr_el1, x0
  isb
1:
  b 1b

.data
.balign 8
pool:
  .quad 0x41000000

.bss
.balign 4096
stage_2_root:
  .skip 4096
