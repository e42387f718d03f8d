// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guest of the lesson on the traps of EL2: an EL1 kernel that does one thing of each kind that a hypervisor may want to
// hear of, and in between what it need not. On bare hardware nothing of it leaves EL1 (but the two calls: HVC goes to
// the firmware, SMC is UNDEFINED on a board without EL3).
//
// Marks: 1 before the HVC · 2 before the reads · 3 before the device · 4 before the SMC · 5 the end

.include "guest.inc"

.text
function kernel_main
  mov x0, #VECTOR_SAME_SYNCHRONOUS
  address x1, skip
  bl set_handler
  constant x20, UART
  mov w7, #'*'

  mark 1
  constant x0, PSCI_AFFINITY_INFO      // "is core 0 on?"
  mov x1, #0
  mov x2, #0
place the_hvc
  hvc #0
place after_hvc
  mov x21, x0

  mark 2
place the_midr_read
  mrs x4, midr_el1
place the_id_read
  mrs x3, id_aa64mmfr0_el1
place after_id_read
  mrs x5, ttbr0_el1
place the_root_write
  msr ttbr0_el1, x5
  isb
place after_root_write
  mrs x5, sctlr_el1
place the_control_write
  msr sctlr_el1, x5
  isb
place after_control_write
  nop

  mark 3
place the_device_store
  str w7, [x20, #UART_DATA]
place after_device_store
  nop
place the_device_load
  ldrh w6, [x20, #UART_FLAGS]
place after_device_load
  and w22, w6, #1 << UART_FLAG_TRANSMIT_FULL

  mark 4
place the_smc
  smc #0
place after_smc
  mov w0, #'\n'
  bl print_character
  print "el2-traps: core 0 is on: "
  print_decimal_of x21                 // PSCI: 0 means on
  print ", transmitter full: "
  print_decimal_of x22
  print ", undefined: "
  address x0, undefined_count
  ldr x0, [x0]
  bl print_decimal
  print "\n"
  mark 5
  power_off

// X0: frame. Counts, and goes on behind the instruction.
function skip
  address x1, undefined_count
  ldr x2, [x1]
  add x2, x2, #1
  str x2, [x1]
  ldr x1, [x0, #FRAME_ELR]
  add x1, x1, #4
  str x1, [x0, #FRAME_ELR]
  ret

.data
.balign 8
undefined_count:
  .quad 0
