// SPDX-License-Identifier: GPL-3.0-or-later
//
// Two cores. Core 0 starts core 1 by PSCI; both count under a spinlock (LDAXR, STLXR) and with exclusives alone; they
// send software-generated interrupts to each other; core 0 changes a translation that core 1 uses; core 1 is turned off
// and started once more. Everything printed is a count that does not depend on how the cores interleave.
//
// Marks: 1 before core 1 is started · 2 counting (each core) · 3 interrupts (each core) · 4 the shared translation
//        5 core 1 goes off · 6 it is back · 7 the end

.include "guest.inc"

.text
.include "memory.inc"
.include "interrupts.inc"

.set ROUNDS, 5000
.set PINGS, 100
.set INTERRUPT_PING, 1                 // core 0 to core 1
.set INTERRUPT_PONG, 2                 // and back
.set SHARED_PAGE, 1 << 39
.set OLD_VALUE, 0x01d
.set NEW_VALUE, 0x2e3

// ---- Core 0 -------------------------------------------------------------------------------------------------------

function kernel_main
  mov x0, #VECTOR_SAME_IRQ
  address x1, interrupt_handler
  bl set_handler
  bl join_interrupts
  mov w0, #OLD_VALUE
  address x1, old_page
  str w0, [x1]
  bl map_shared_page
  mark 1
  print "core 0: starting core 1\n"
place the_core_start
  mov x0, #1
  address x1, second_core
  bl start_core
  mov x19, x0
  bl meet                              // it is there
  mov x0, x19
  address x1, text_start
  bl print_result

  ldr w0, =PSCI_CPU_ON                 // what a firmware must refuse
  mov x1, #1
  address x2, core_start
  mov x3, #1
  firmware_call
  neg x0, x0
  address x1, text_again
  bl print_result
  ldr w0, =PSCI_CPU_ON
  mov x1, #77
  address x2, core_start
  mov x3, #77
  firmware_call
  neg x0, x0
  address x1, text_missing
  bl print_result
  print "core 1: its affinity is "
  address x0, second_affinity
  ldr x0, [x0]
  bl print_decimal
  print "\n"

  bl meet
  bl count
  address x19, locked_count
  ldp x20, x21, [x19]
  print "both cores: "
  print_decimal_of x20
  print " under the lock, "
  print_decimal_of x21
  print " by exclusives\n"

  bl meet
  mark 3
place the_pings
  mov x19, #0
  mov x20, #1 << 1                     // core 1
1:
  send_interrupt INTERRUPT_PING, x20
  add x19, x19, #1
  address x0, pong_count
  mov x1, x19
  bl wait_for_count
  cmp x19, #PINGS
  b.lo 1b
  address x0, ping_count
  ldp x20, x21, [x0]
  print "interrupts: "
  print_decimal_of x20
  print " to core 1, "
  print_decimal_of x21
  print " back\n"

  bl meet                              // core 1 has read the old page
  bl meet
  mark 4
  address x0, old_page                 // break before make
  address x1, shared_descriptor
  ldr x1, [x1]
  str xzr, [x1]
  bl forget_shared_page
  mov w0, #NEW_VALUE
  address x1, new_page
  str w0, [x1]
  bl map_shared_page
  bl meet
  bl meet                              // core 1 has read again
  address x0, values_read
  ldp x20, x21, [x0]
  print "core 1: the shared page held "
  print_hex_of x20
  print ", then "
  print_hex_of x21
  print "\n"

  mark 5
place the_core_wait
  ldr w0, =PSCI_AFFINITY_INFO
  mov x1, #1
  mov x2, #0
  firmware_call
  cmp w0, #1
  b.ne the_core_wait
  print "core 1: off\n"
  mov x0, #1
  address x1, second_life
  bl start_core
  bl meet
  mark 6
  print "core 1: on again, with "
  address x0, second_life_sum
  ldr x0, [x0]
  print_decimal_of x0
  print "\n"
  mark 7
  power_off

// print_result(x0 number, x1 text before it)
function print_result
  push x29, x30
  push x19, x20
  mov x19, x0
  mov x0, x1
  bl print_string
  print_decimal_of x19
  print "\n"
  pop x19, x20
  pop x29, x30
  ret

// map_shared_page(): to the old frame at first, to the new one from the second time on
function map_shared_page
  push x29, x30
  address x0, shared_descriptor
  ldr x1, [x0]
  address x2, old_page
  address x3, new_page
  cmp x1, #0
  csel x2, x2, x3, eq
  ldr x3, =PTE_PAGE | PTE_MEMORY | PTE_PXN | PTE_UXN
  orr x2, x2, x3
  constant x1, SHARED_PAGE
  address x0, boot_level0
  address x3, pool
  bl map_page
  address x1, shared_descriptor
  str x0, [x1]
  pop x29, x30
  ret

// On both cores: the inner shareable form.
function forget_shared_page
  dsb ish
  constant x0, SHARED_PAGE >> 12
place the_broadcast
  tlbi vaae1is, x0
  dsb ish
  isb
  ret

// ---- Core 1 -------------------------------------------------------------------------------------------------------

function second_core
  bl join_interrupts
  mrs x0, mpidr_el1
  and x0, x0, #0xff
  address x1, second_affinity
  str x0, [x1]
  bl meet
  bl meet
  bl count
  bl meet
  mark 3
  address x0, ping_count               // the handler answers each
  mov x1, #PINGS
  bl wait_for_count
  constant x19, SHARED_PAGE
  address x20, values_read
  ldr w0, [x19]
  str x0, [x20]
  bl meet
  bl meet
  bl meet
place the_second_look
  ldr w0, [x19]
  str x0, [x20, #8]
  bl meet
place the_core_off
  ldr w0, =PSCI_CPU_OFF
  firmware_call

// After CPU_ON once more: from the beginning, but for memory.
function second_life
  address x1, values_read
  ldp x0, x1, [x1]
  add x0, x0, x1
  address x1, second_life_sum
  str x0, [x1]
  bl meet
1:
  wfi
  b 1b

// ---- Both ---------------------------------------------------------------------------------------------------------

function join_interrupts
  push x29, x30
  bl set_up_interrupts
  mov x0, #INTERRUPT_PING
  mov w1, #PRIORITY_DEFAULT
  bl enable_interrupt
  mov x0, #INTERRUPT_PONG
  mov w1, #PRIORITY_DEFAULT
  bl enable_interrupt
  pop x29, x30
  ret

// Each counts ROUNDS times in both ways, and waits until the other has done so.
function count
  push x29, x30
  push x19, x20
  mark 2
  mov x19, #ROUNDS
1:
  address x0, lock
  bl take_lock
  address x1, locked_count             // plain loads and stores: only the lock keeps them whole
  ldr x2, [x1]
  add x2, x2, #1
  str x2, [x1]
  bl release_lock
  address x0, exclusive_count
  bl add_one
  subs x19, x19, #1
  b.ne 1b
  bl meet
  pop x19, x20
  pop x29, x30
  ret

// take_lock(x0 lock): keeps X0. A core that finds it taken waits for the event that its release brings.
function take_lock
  mov w2, #1
  sevl
1:
  wfe
place the_exclusive_load
  ldaxr w1, [x0]
  cbnz w1, 1b
place the_exclusive_store
  stxr w1, w2, [x0]
  cbnz w1, 2f
  ret
2:
  sevl                                 // lost it in between: nobody need have released it
  b 1b

function release_lock
  stlr wzr, [x0]
  sev
  ret

// add_one(x0 counter): X1 is what it was
function add_one
1:
  ldaxr x1, [x0]
  add x2, x1, #1
  stlxr w3, x2, [x0]
  cbnz w3, 1b
  ret

// Waits until both cores have come here.
function meet
  push x29, x30
  address x0, arrivals
  bl add_one
  sev
  orr x1, x1, #1
  add x1, x1, #1                       // the even number that this meeting ends with
1:
  ldar x2, [x0]
  cmp x2, x1
  b.hs 2f
  wfe
  b 1b
2:
  pop x29, x30
  ret

// wait_for_count(x0 counter, x1 at least): asleep, until interrupts have counted that far. An interrupt that comes
// between the look and WFI is masked there, but ends it.
function wait_for_count
1:
  ldr x2, [x0]
  cmp x2, x1
  b.hs 2f
place the_wait
  wfi
  msr daifclr, #2
  nop
  msr daifset, #2
  b 1b
2:
  ret

// X0: frame
function interrupt_handler
  push x29, x30
  push x19, x20
  mov x19, x0
place the_acknowledge
  mrs x20, icc_iar1_el1
  cmp x20, #INTERRUPT_PING
  b.ne 1f
  address x0, ping_count
  bl add_one
  mov x0, #1                           // core 0
  send_interrupt INTERRUPT_PONG, x0
  b 2f
1:
  cmp x20, #INTERRUPT_PONG
  b.ne 3f
  address x0, pong_count
  bl add_one
2:
place the_end_of_interrupt
  msr icc_eoir1_el1, x20
  isb
3:
  mov x0, x19
  pop x19, x20
  pop x29, x30
  ret

.section .rodata
text_start:
  .asciz "firmware: starting core 1 gives "
text_again:
  .asciz "firmware: starting it again gives minus "
text_missing:
  .asciz "firmware: starting a core that is not there gives minus "

.data
.balign 8
pool:
  .quad 0x41000000

.bss
.balign 4096
place old_page
  .skip 4096
place new_page
  .skip 4096
.balign 64
place lock
  .skip 64
arrivals:
  .skip 64
place locked_count
  .skip 8
place exclusive_count
  .skip 8
place ping_count
  .skip 8
place pong_count
  .skip 8
second_affinity:
  .skip 8
shared_descriptor:
  .skip 8
place values_read
  .skip 16
second_life_sum:
  .skip 8
