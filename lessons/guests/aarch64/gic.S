// SPDX-License-Identifier: GPL-3.0-or-later
//
// What an interrupt controller does for a guest, one thing at a time: order by priority, priority mask, running
// priority, preemption of a handler, active and pending at once, priority drop apart from deactivation, timers as
// level-sensitive private interrupts. It asks for nothing that needs EL2, so the same can be watched through the
// virtual interface.
//
// Marks: 1 order · 2 mask · 3 preemption · 4 active and pending · 5 priority drop · 6 timers · 7 the end

.include "guest.inc"

.text
.include "interrupts.inc"

.set INTERRUPT_PHYSICAL_TIMER, 30
.set ICC_CTLR_EOIMODE, 1 << 1
.set TIMER_TICKS, 3
.set TIMER_PERIOD, 10000

// Sends a software-generated interrupt to this core.
.macro raise number
  mov x10, #1
  send_interrupt \number, x10
.endm

.macro end_of_interrupt register
  msr icc_eoir1_el1, \register
  isb
.endm

function kernel_main
  mov x0, #VECTOR_SAME_IRQ
  address x1, interrupt_handler
  bl set_handler
  bl set_up_interrupts
  address x19, priorities
1:
  ldrb w0, [x19]
  ldrb w1, [x19, #1]
  bl enable_interrupt
  add x19, x19, #2
  address x0, priorities_end
  cmp x19, x0
  b.lo 1b

  bl show_order
  bl show_mask
  bl show_preemption
  bl show_active_and_pending
  bl show_priority_drop
  bl show_timers
  mark 7
  print "gic: done\n"
  power_off

// All four are pending before the first is acknowledged; nothing is taken as an exception, as IRQs are masked.
function show_order
  push x29, x30
  push x19, x20
  mark 1
  raise 1
  raise 2
  raise 3
  raise 4
  print "order: running priority "
  mrs x0, icc_rpr_el1
  bl print_hex
  print ", next is "
  mrs x0, icc_hppir1_el1
  bl print_decimal
  print "; acknowledged"
  mov x20, #4
1:
  print " "
place the_ordered_acknowledge
  mrs x19, icc_iar1_el1
  print_decimal_of x19
  print " at "
  mrs x0, icc_rpr_el1
  bl print_hex
  end_of_interrupt x19
  subs x20, x20, #1
  b.ne 1b
  print "; then "
  mrs x0, icc_iar1_el1
  bl print_decimal
  print "\n"
  pop x19, x20
  pop x29, x30
  ret

function show_mask
  push x29, x30
  push x19, x20
  mark 2
  mov x0, #0x60
  msr icc_pmr_el1, x0
  isb
  raise 1                              // priority 0x80
  raise 2                              // priority 0x40
  print "mask 0x60: acknowledged "
  mrs x19, icc_iar1_el1
  print_decimal_of x19
  end_of_interrupt x19
  print ", then "
  mrs x0, icc_iar1_el1
  bl print_decimal
  mov x0, #PRIORITY_LOWEST
  msr icc_pmr_el1, x0
  isb
  print "; mask 0xff: "
  mrs x19, icc_iar1_el1
  print_decimal_of x19
  end_of_interrupt x19
  print "\n"
  pop x19, x20
  pop x29, x30
  ret

// The handler of 3 raises 4 (higher) and 5 (lower) and unmasks: 4 runs inside it, 5 after it.
function show_preemption
  push x29, x30
  mark 3
  print "preemption:"
  raise 3
  msr daifclr, #2
  nop
  msr daifset, #2
  print "\n"
  pop x29, x30
  ret

function show_active_and_pending
  push x29, x30
  push x19, x20
  mark 4
  raise 1
  mrs x19, icc_iar1_el1
  raise 1                              // again, while it is active
  print "active and pending: acknowledged "
  print_decimal_of x19
  print ", then "
  mrs x0, icc_iar1_el1
  bl print_decimal
  end_of_interrupt x19
  print ", after its end "
  mrs x19, icc_iar1_el1
  print_decimal_of x19
  end_of_interrupt x19
  print "\n"
  pop x19, x20
  pop x29, x30
  ret

function show_priority_drop
  push x29, x30
  push x19, x20
  mark 5
  mrs x20, icc_ctlr_el1
  orr x0, x20, #ICC_CTLR_EOIMODE
  msr icc_ctlr_el1, x0
  isb
  raise 2
  mrs x19, icc_iar1_el1
  print "priority drop: running priority "
  mrs x0, icc_rpr_el1
  bl print_hex
  end_of_interrupt x19
  print ", after EOIR "
  mrs x0, icc_rpr_el1
  bl print_hex
  print " and active "
  bl is_two_active
  bl print_decimal
  msr icc_dir_el1, x19
  isb
  print ", after DIR active "
  bl is_two_active
  bl print_decimal
  print "\n"
  msr icc_ctlr_el1, x20
  isb
  pop x19, x20
  pop x29, x30
  ret

is_two_active:
  push x29, x30
  bl redistributor
  ldr w0, [x0, #GICR_ISACTIVER0]
  ubfx x0, x0, #2, #1
  pop x29, x30
  ret

function show_timers
  push x29, x30
  push x19, x20
  mark 6
  mov x0, #INTERRUPT_VIRTUAL_TIMER     // the condition holds, but the interrupt is not enabled
  bl disable_interrupt
  start_timer 0
1:
  mrs x19, cntv_ctl_el0
  tbz x19, #2, 1b
  print "virtual timer: control "
  print_decimal_of x19
  bl redistributor
  ldr w0, [x0, #GICR_ISPENDR0]
  ubfx x19, x0, #INTERRUPT_VIRTUAL_TIMER, #1
  print ", pending "
  print_decimal_of x19
  print ", acknowledged "
  mrs x0, icc_iar1_el1
  bl print_decimal
  mov x0, #3                           // IMASK: the line goes down again
  msr cntv_ctl_el0, x0
  isb
  bl redistributor
  ldr w0, [x0, #GICR_ISPENDR0]
  ubfx x19, x0, #INTERRUPT_VIRTUAL_TIMER, #1
  print "; masked: pending "
  print_decimal_of x19
  stop_timer
  mov x0, #INTERRUPT_VIRTUAL_TIMER
  mov w1, #PRIORITY_DEFAULT
  bl enable_interrupt

  start_timer TIMER_PERIOD
  address x0, virtual_ticks
  bl wait_for_ticks
  stop_timer
  address x0, virtual_ticks
  ldr x19, [x0]
  print "; interrupts "
  print_decimal_of x19
  print "\n"

  print "physical timer: interrupts "
place the_physical_timer
  constant x0, TIMER_PERIOD
  msr cntp_tval_el0, x0
  mov x0, #1
  msr cntp_ctl_el0, x0
  isb
  address x0, physical_ticks
  bl wait_for_ticks
  msr cntp_ctl_el0, xzr
  isb
  address x0, physical_ticks
  ldr x0, [x0]
  bl print_decimal
  print "\n"
  pop x19, x20
  pop x29, x30
  ret

// wait_for_ticks(x0 counter): the last tick stops its timer, so that there is no other
function wait_for_ticks
1:
  ldr x1, [x0]
  cmp x1, #TIMER_TICKS
  b.hs 2f
  wfi
  msr daifclr, #2
  nop
  msr daifset, #2
  b 1b
2:
  ret

// ---- Handler ------------------------------------------------------------------------------------------------------

// X0: frame. A handler that unmasks must keep ELR and SPSR: they are in the frame.
function interrupt_handler
  push x29, x30
  push x19, x20
  mov x19, x0
  mrs x20, icc_iar1_el1
  cmp x20, #INTERRUPT_VIRTUAL_TIMER
  b.eq virtual_tick
  cmp x20, #INTERRUPT_PHYSICAL_TIMER
  b.eq physical_tick
  cmp x20, #16
  b.hs interrupt_done
  print " ["
  print_decimal_of x20
  cmp x20, #3
  b.ne 1f
  raise 4
  raise 5
1:
place the_nested_unmask
  msr daifclr, #2
  nop
  msr daifset, #2
  print " "
  print_decimal_of x20
  print "]"
place interrupt_ended
  end_of_interrupt x20
place interrupt_done
  mov x0, x19
  pop x19, x20
  pop x29, x30
  ret

virtual_tick:
  address x0, virtual_ticks
  bl next_tick
  b.hs 1f
  start_timer TIMER_PERIOD
  b interrupt_ended
1:
  stop_timer
  b interrupt_ended

physical_tick:
  address x0, physical_ticks
  bl next_tick
  b.hs 1f
  constant x1, TIMER_PERIOD
  msr cntp_tval_el0, x1
  isb
  b interrupt_ended
1:
  msr cntp_ctl_el0, xzr
  isb
  b interrupt_ended

// next_tick(x0 counter): HS when it was the last
next_tick:
  ldr x1, [x0]
  add x1, x1, #1
  str x1, [x0]
  cmp x1, #TIMER_TICKS
  ret

.section .rodata
priorities:                            // interrupt, priority: multiples of 16, as few priority bits are promised
  .byte 1, 0x80, 2, 0x40, 3, 0xc0, 4, 0x20, 5, 0xe0
  .byte INTERRUPT_VIRTUAL_TIMER, PRIORITY_DEFAULT, INTERRUPT_PHYSICAL_TIMER, PRIORITY_DEFAULT
priorities_end:

.bss
.balign 8
place virtual_ticks
  .skip 8
place physical_ticks
  .skip 8
