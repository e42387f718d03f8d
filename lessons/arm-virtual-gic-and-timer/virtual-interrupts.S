// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guest of the lesson on virtual interrupts: an EL1 kernel that uses its interrupt controller as on any machine. It
// sends itself an interrupt, waits for its virtual timer, sends itself more interrupts at once than a virtual interface
// has list registers, and reads the counter before and after a call that takes a hypervisor some time. The handler
// notes the order in which interrupts come.
//
// Marks: 1 before the controller is set up · 2 before the first interrupt · 3 before the timer · 4 before the flood
//        5 before the counter is read · 6 the end

.include "guest.inc"

.text
.include "interrupts.inc"

.set FIRST, 5
.set FLOOD, 6                          // interrupts 1 to 6
.set TIMER_TICKS, 20000

// Opens interrupts until the handler has noted `count` of them in all.
.macro take count
1:
  msr daifclr, #2
  nop
  msr daifset, #2
  ldr x9, [x20]
  cmp x9, #\count
  b.lo 1b
.endm

function kernel_main
  mov x0, #VECTOR_SAME_IRQ
  address x1, interrupt_handler
  bl set_handler
  address x20, taken
  address x21, order
  str xzr, [x20]                       // no first touch of this page shall disturb what follows
  mark 1
place set_up
  bl set_up_interrupts
  mov x19, #1
1:
  mov x0, x19
  lsl w1, w19, #4                      // priority: the lower number first
  bl enable_interrupt
  add x19, x19, #1
  cmp x19, #FLOOD
  b.ls 1b
  mov x0, #INTERRUPT_VIRTUAL_TIMER
  mov w1, #PRIORITY_DEFAULT
  bl enable_interrupt

  mark 2
  constant x9, FIRST << 24 | 1
place the_send
  msr icc_sgi1r_el1, x9
place after_send
  isb
place the_unmask
  take 1
place after_first

  mark 3
  start_timer TIMER_TICKS
place the_wait
  wfi
place after_wait
  take 2
place after_timer

  mark 4
  mov x19, #1
2:
  lsl x9, x19, #24
  orr x9, x9, #1
place the_flood
  msr icc_sgi1r_el1, x9
  add x19, x19, #1
  cmp x19, #FLOOD
  b.ls 2b
  isb
place after_flood
  take 2 + FLOOD
place after_last

  mark 5
place the_first_reading
  mrs x22, cntvct_el0
place after_first_reading
  constant x0, PSCI_AFFINITY_INFO
  mov x1, #0
  mov x2, #0
place the_call
  hvc #0
place after_call
  isb
  mrs x23, cntvct_el0
place after_second_reading

  mark 6
  print "virtual-interrupts: taken"
  mov x19, #0
3:
  print " "
  ldrb w0, [x21, x19]
  bl print_decimal
  add x19, x19, #1
  cmp x19, #2 + FLOOD
  b.lo 3b
  print "\n"
  power_off

// X0: frame, to be given back.
function interrupt_handler
place the_acknowledge
  mrs x2, icc_iar1_el1
place after_acknowledge
  ldr x3, [x20]
  strb w2, [x21, x3]
  add x3, x3, #1
  str x3, [x20]
  cmp x2, #INTERRUPT_VIRTUAL_TIMER
  b.ne the_end_of_interrupt
  stop_timer                           // its line is a level: ending the interrupt alone would bring it back
place the_end_of_interrupt
  msr icc_eoir1_el1, x2
place after_end_of_interrupt
  isb
  ret

.bss
.balign 8
taken:
  .skip 8
order:
  .skip 16
