// SPDX-License-Identifier: GPL-3.0-or-later
//
// One of a pair of guests, with twin-x86.S: the same ideas in the same order, under the same labels and marks. A
// question about the processor, a call to whoever is below, the first touch of a page, a load behind four tables that
// nothing else uses, a letter to the serial port, one timer interrupt. On bare hardware the firmware serves HVC.
//
// Marks: 1 the question · 2 the call · 3 the first touch · 4 the cold load · 5 the letter · 6 the interrupt · 7 the end

.include "guest.inc"

.text
.include "interrupts.inc"

.set COLD_PAGE, 5 << 39 | 17 << 30 | 33 << 21 | 65 << 12
.set COLD_ADDRESS, COLD_PAGE + 0x128

// Physical memory, as the guest takes it.
.set COLD_LEVEL1, RAM + 0x2001000
.set COLD_LEVEL2, RAM + 0x2802000
.set COLD_LEVEL3, RAM + 0x3003000
.set COLD_FRAME, RAM + 0x3804000
.set UNTOUCHED, RAM + 0x5005000

.set DATA_PAGE, PTE_PAGE | PTE_MEMORY | PTE_PXN | PTE_UXN
.set COLD_VALUE, 0x01d

.set PSCI_VERSION, 0x84000000
.set TIMER_PERIOD, 10000

// Stores a 64-bit value at a constant address.
.macro store address, value
  constant x0, \address
  constant x1, \value
  str x1, [x0]
.endm

function kernel_main
  mov x0, #VECTOR_SAME_IRQ
  address x1, timer_handler
  bl set_handler
  bl set_up_interrupts
place build_cold_path
  address x2, boot_level0
  constant x1, COLD_LEVEL1 | PTE_TABLE
  str x1, [x2, #5 * 8]
  store COLD_LEVEL1 + 17 * 8, COLD_LEVEL2 | PTE_TABLE
  store COLD_LEVEL2 + 33 * 8, COLD_LEVEL3 | PTE_TABLE
  store COLD_LEVEL3 + 65 * 8, COLD_FRAME | DATA_PAGE
  store COLD_FRAME + 0x128, COLD_VALUE
  bl redistributor
  mov x22, x0
  mov w1, #PRIORITY_DEFAULT
  strb w1, [x22, #GICR_IPRIORITYR + INTERRUPT_VIRTUAL_TIMER]

  mark 1
  nop
place the_question
  mrs x0, id_aa64pfr0_el1
place after_question
  nop

  mark 2
  ldr w0, =PSCI_VERSION
place the_call
  hvc #0
place after_call
  constant x20, UNTOUCHED

  mark 3
  mov x0, #0x2a
place the_first_touch
  str x0, [x20]
place after_first_touch
  constant x21, COLD_ADDRESS

place forget_translations
  dsb ishst
  tlbi vmalle1
  dsb ish
  isb
  mark 4
  nop                                  // brings this code's own translation back, so that the load's walk stands alone
place the_cold_load
  ldr x0, [x21]
place after_cold_load
  cmp x0, #COLD_VALUE
  b.ne failed

  mark 5
  constant x1, UART
  mov w0, #'*'
place the_letter
  str w0, [x1]
place after_letter

  mark 6
  mov w1, #1 << INTERRUPT_VIRTUAL_TIMER
place the_controller_write
  str w1, [x22, #GICR_ISENABLER0]
place after_controller_write
  constant x9, TIMER_PERIOD
  mov x10, #1
place the_timer_start
  msr cntv_tval_el0, x9
  msr cntv_ctl_el0, x10
place after_timer_start
  isb
place the_wait
  wfi
place after_wait
  msr daifclr, #2
  nop
  msr daifset, #2
  address x0, ticks
  ldr x0, [x0]
  cbz x0, the_wait

  mark 7
  print " two-architectures: done\n"
  power_off

failed:
  print " two-architectures: FAIL\n"
  power_off

// X0: frame. The handler asks the controller for the interrupt's number.
function timer_handler
  push x0, x30
place the_acknowledge
  mrs x19, icc_iar1_el1
place after_acknowledge
  stop_timer
  address x0, ticks
  ldr x1, [x0]
  add x1, x1, #1
  str x1, [x0]
place the_end_of_interrupt
  msr icc_eoir1_el1, x19
place after_end_of_interrupt
  isb
  pop x0, x30
  ret

.data
.balign 8
place ticks
  .quad 0
