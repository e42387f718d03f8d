// SPDX-License-Identifier: GPL-3.0-or-later
//
// Executes AT instructions at EL2 under given system registers, and writes down PAR_EL1 or the exception. The test puts
// requests and tables beside it in memory; at the end, answers and tables go to files by semihosting.
//   Request, 128 bytes: address, operation (place in `operations`), HCR_EL2, VTCR_EL2, VTTBR_EL2, SCTLR_EL1, TCR_EL1,
//                       TTBR0_EL1, TTBR1_EL1, MAIR_EL1, SCTLR_EL2, TCR_EL2, TTBR0_EL2, TTBR1_EL2, MAIR_EL2, PSTATE.PAN
//   Answer, 32 bytes:   PAR_EL1 (all ones after an exception), ESR_EL2, FAR_EL2, HPFAR_EL2
// The first request holds the number of requests, and the address and size of the tables.
// While SCTLR_EL2.M is set, the prober runs by the tables of the test, which map its memory in place.

.arch armv8.2-a
.set REQUESTS, 0x41000000
.set ANSWERS, 0x41800000
.set SYS_OPEN, 0x01
.set SYS_CLOSE, 0x02
.set SYS_WRITE, 0x05
.set SYS_EXIT, 0x18
.set EL1_IN_AARCH64, 1 << 31            // HCR_EL2.RW

.text
.globl _start
_start:
  adr x0, vectors
  msr vbar_el2, x0
  mrs x0, sctlr_el2
  bic x26, x0, #1                       // SCTLR_EL2 as the prober wants it
  msr sctlr_el2, x26
  isb
  ldr x19, =REQUESTS
  ldr x20, =ANSWERS
  ldr x21, [x19]
  ldr x24, [x19, #8]
  ldr x25, [x19, #16]
  add x19, x19, #128

next_request:
  cbz x21, done
  mov x0, #EL1_IN_AARCH64
  msr hcr_el2, x0
  isb
  ldp x0, x1, [x19, #24]
  msr vtcr_el2, x0
  msr vttbr_el2, x1
  ldp x0, x1, [x19, #40]
  msr sctlr_el1, x0
  msr tcr_el1, x1
  ldp x0, x1, [x19, #56]
  msr ttbr0_el1, x0
  msr ttbr1_el1, x1
  ldp x0, x1, [x19, #72]
  msr mair_el1, x0
  ldp x2, x3, [x19, #88]                // TCR_EL2, TTBR0_EL2
  ldp x4, x5, [x19, #104]               // TTBR1_EL2, MAIR_EL2
  msr ttbr0_el2, x3
  msr s3_4_c2_c0_1, x4
  msr mair_el2, x5
  ldr x6, [x19, #120]
  msr s3_0_c4_c2_3, x6                  // PAN
  ldr x7, [x19, #16]
  msr hcr_el2, x7
  isb
  msr tcr_el2, x2
  tlbi alle1
  tlbi alle2
  dsb sy
  isb
  msr sctlr_el2, x1
  isb
  ldp x0, x1, [x19]
  adr x2, operations
  add x2, x2, x1, lsl #3
  br x2
operations:
  at s1e1r, x0
  b answered
  at s1e1w, x0
  b answered
  at s1e0r, x0
  b answered
  at s1e0w, x0
  b answered
  at s1e1rp, x0
  b answered
  at s1e1wp, x0
  b answered
  at s12e1r, x0
  b answered
  at s12e1w, x0
  b answered
  at s12e0r, x0
  b answered
  at s12e0w, x0
  b answered
  at s1e2r, x0
  b answered
  at s1e2w, x0
  b answered

answered:
  isb
  mrs x8, par_el1
  mov x9, xzr
  mov x10, xzr
  mov x11, xzr
  b store
on_exception:
  mov x8, #-1
  mrs x9, esr_el2
  mrs x10, far_el2
  mrs x11, hpfar_el2
store:
  msr sctlr_el2, x26
  isb
  stp x8, x9, [x20]
  stp x10, x11, [x20, #16]
  add x20, x20, #32
  add x19, x19, #128
  sub x21, x21, #1
  b next_request

done:
  mov x0, #EL1_IN_AARCH64
  msr hcr_el2, x0
  isb
  tlbi alle2
  dsb sy
  isb
  ldr x22, =ANSWERS
  sub x23, x20, x22
  adr x0, answers_name
  mov x1, #11
  bl write_file
  mov x22, x24
  mov x23, x25
  adr x0, tables_name
  mov x1, #10
  bl write_file
  adr x1, parameters
  ldr x0, =0x20026                      // ADP_Stopped_ApplicationExit
  str x0, [x1]
  str xzr, [x1, #8]
  mov w0, #SYS_EXIT
  hlt #0xf000
halt:
  wfi
  b halt

// x0: name, x1: its length, x22: first byte, x23: bytes
write_file:
  adr x2, parameters
  mov x3, #5                            // "wb"
  stp x0, x3, [x2]
  str x1, [x2, #16]
  mov x1, x2
  mov w0, #SYS_OPEN
  hlt #0xf000
  adr x1, parameters
  stp x0, x22, [x1]
  str x23, [x1, #16]
  mov x27, x0
  mov w0, #SYS_WRITE
  hlt #0xf000
  adr x1, parameters
  str x27, [x1]
  mov w0, #SYS_CLOSE
  hlt #0xf000
  ret

answers_name:
  .asciz "answers.bin"
tables_name:
  .asciz "tables.bin"
.balign 16
parameters:
  .quad 0, 0, 0, 0
.ltorg

.balign 2048
vectors:
  .rept 16
  b on_exception
  .balign 128
  .endr
