// SPDX-License-Identifier: GPL-3.0-or-later
//
// Runs sequences of instructions at EL0 from given registers, and writes down what each left: registers, flags, memory
// and every exception that it took. The test writes the sequences into this image (see sequences.h, which has the same
// layout); QEMU and our machine boot the same file. The results go to a file by semihosting where there is a debugger;
// where there is none, HLT is undefined and the test looks into memory.
//   Input, 1 KB:    X0 to X30, SP, NZCV, FPCR, FPSR, (nothing), V0 to V31, instructions up to SVC #0x5e
//   Result, 14 KB:  the same, with the number of exceptions in place of nothing; for each of them ESR, FAR, ELR and
//                   SPSR (at most 32); from 2 KB on, the three pages that EL0 may write
// After an exception the sequence goes on with the next instruction, but where the program counter itself was wrong.
// EL0 sees its code and input read-only, and at USER_DATA: page 0, page 1 (the frames swapped), nothing, page 3, a
// read-only page, one without access flag, one of EL1's, nothing.

.arch armv8-a
.set INPUTS, 0x40400000
.set SEQUENCES, INPUTS + 0x4000         // Before it: header, and from 4 KB on what data pages hold at first
.set RESULTS, 0x40800000
.set FRAMES, 0x43000000
.set USER_DATA, 0x44000000
.set DATA_BYTES, 0x3000
.set INPUT_BYTES, 1024
.set RESULT_BYTES, 14336
.set CAPACITY, 1100                     // Sequences

.set H_COUNT, 0
.set H_CONTROL, 8                       // SCTLR_EL1
.set H_NAME_LENGTH, 16
.set H_NAME, 64

.set O_SP, 248
.set O_NZCV, 256
.set O_FPCR, 264
.set O_FPSR, 272
.set O_EXCEPTIONS, 280
.set O_VECTORS, 288
.set O_CODE, 800                        // Of an input
.set O_LOG, 800                         // Of a result
.set LOG_ENTRIES, 32
.set O_DATA, 2048

.set S_X0, 0                            // What SP_EL1 points to
.set S_X2, 16
.set S_RESULT, 32
.set S_SEQUENCE, 40
.set S_REMAINING, 48

.set END_SYNDROME, 0x5600005e           // SVC #0x5e
.set EC_SVC, 0x15
.set EC_INSTRUCTION_ABORT, 0x20
.set EC_PC_ALIGNMENT, 0x22
.set NORMAL_PAGE, 0x703                 // Attribute 0, inner shareable, access flag
.set NORMAL_BLOCK, 0x701
.set DEVICE_BLOCK, 0x405                // Attribute 1
.set EL0_WRITES, 1 << 6
.set EL0_READS, 3 << 6
.set NEVER_EXECUTED, 3 << 53
.set NOT_BY_EL1, 1 << 53

.text
.globl _start
_start:
  adr x0, vectors
  msr vbar_el1, x0
  mov x0, #0xff                         // Attribute 0: normal, write-back; attribute 1: device
  msr mair_el1, x0
  ldr x0, =(2 << 32 | 1 << 23 | 3 << 12 | 1 << 10 | 1 << 8 | 25)
  msr tcr_el1, x0
  ldr x0, =level1
  msr ttbr0_el1, x0
  mov x0, #(3 << 20)
  msr cpacr_el1, x0
  isb
  tlbi vmalle1
  dsb sy
  isb
  ldr x1, =INPUTS
  ldr x0, [x1, #H_CONTROL]
  msr sctlr_el1, x0
  isb
  adr x0, scratch
  mov sp, x0
  ldr x2, [x1, #H_COUNT]
  str x2, [sp, #S_REMAINING]
  ldr x2, =SEQUENCES
  str x2, [sp, #S_SEQUENCE]
  ldr x2, =RESULTS
  str x2, [sp, #S_RESULT]
  ldr x0, =INPUTS + 0x1000              // The read-only page
  ldr x1, =FRAMES + DATA_BYTES
  mov x2, #0x1000
  bl copy

next_sequence:
  ldr x0, [sp, #S_REMAINING]
  cbz x0, done
  sub x0, x0, #1
  str x0, [sp, #S_REMAINING]
  ldr x0, =INPUTS + 0x1000
  ldr x1, =FRAMES
  mov x2, #DATA_BYTES
  bl copy
  msr far_el1, xzr
  ldr x30, [sp, #S_SEQUENCE]
  add x0, x30, #O_VECTORS
  ld1 {v0.2d-v3.2d}, [x0], #64
  ld1 {v4.2d-v7.2d}, [x0], #64
  ld1 {v8.2d-v11.2d}, [x0], #64
  ld1 {v12.2d-v15.2d}, [x0], #64
  ld1 {v16.2d-v19.2d}, [x0], #64
  ld1 {v20.2d-v23.2d}, [x0], #64
  ld1 {v24.2d-v27.2d}, [x0], #64
  ld1 {v28.2d-v31.2d}, [x0], #64
  ldr x0, [x30, #O_SP]
  msr sp_el0, x0
  ldr x0, [x30, #O_NZCV]
  mov x1, #0x3c0                        // EL0t, interrupts masked
  orr x0, x0, x1
  msr spsr_el1, x0
  ldr x0, [x30, #O_FPCR]
  msr fpcr, x0
  ldr x0, [x30, #O_FPSR]
  msr fpsr, x0
  add x0, x30, #O_CODE
  msr elr_el1, x0
  ldp x0, x1, [x30]
  ldp x2, x3, [x30, #16]
  ldp x4, x5, [x30, #32]
  ldp x6, x7, [x30, #48]
  ldp x8, x9, [x30, #64]
  ldp x10, x11, [x30, #80]
  ldp x12, x13, [x30, #96]
  ldp x14, x15, [x30, #112]
  ldp x16, x17, [x30, #128]
  ldp x18, x19, [x30, #144]
  ldp x20, x21, [x30, #160]
  ldp x22, x23, [x30, #176]
  ldp x24, x25, [x30, #192]
  ldp x26, x27, [x30, #208]
  ldp x28, x29, [x30, #224]
  ldr x30, [x30, #240]
  eret

on_exception:
  stp x0, x1, [sp, #S_X0]
  stp x2, x3, [sp, #S_X2]
  ldr x0, [sp, #S_RESULT]
  mrs x1, esr_el1
  ldr w2, =END_SYNDROME
  cmp w1, w2
  b.eq ended
  ldr x2, [x0, #O_EXCEPTIONS]
  add x3, x0, x2, lsl #5
  add x3, x3, #O_LOG
  add x2, x2, #1
  str x2, [x0, #O_EXCEPTIONS]
  mrs x0, far_el1
  stp x1, x0, [x3]
  msr far_el1, xzr
  mrs x0, elr_el1
  str x0, [x3, #16]
  mrs x1, spsr_el1
  str x1, [x3, #24]
  ldr x1, [x3]
  lsr x1, x1, #26
  cmp x2, #LOG_ENTRIES
  b.eq ended
  cmp x1, #EC_INSTRUCTION_ABORT
  b.eq ended
  cmp x1, #EC_PC_ALIGNMENT
  b.eq ended
  add x2, x0, #4
  cmp x1, #EC_SVC
  csel x0, x0, x2, eq
  msr elr_el1, x0
  ldp x0, x1, [sp, #S_X0]
  ldp x2, x3, [sp, #S_X2]
  eret

ended:
  ldr x0, [sp, #S_RESULT]
  stp x4, x5, [x0, #32]
  stp x6, x7, [x0, #48]
  stp x8, x9, [x0, #64]
  stp x10, x11, [x0, #80]
  stp x12, x13, [x0, #96]
  stp x14, x15, [x0, #112]
  stp x16, x17, [x0, #128]
  stp x18, x19, [x0, #144]
  stp x20, x21, [x0, #160]
  stp x22, x23, [x0, #176]
  stp x24, x25, [x0, #192]
  stp x26, x27, [x0, #208]
  stp x28, x29, [x0, #224]
  str x30, [x0, #240]
  ldp x2, x3, [sp, #S_X0]
  stp x2, x3, [x0]
  ldp x2, x3, [sp, #S_X2]
  stp x2, x3, [x0, #16]
  mrs x1, sp_el0
  str x1, [x0, #O_SP]
  mrs x1, spsr_el1
  str x1, [x0, #O_NZCV]
  mrs x1, fpcr
  str x1, [x0, #O_FPCR]
  mrs x1, fpsr
  str x1, [x0, #O_FPSR]
  mov x19, x0
  add x0, x0, #O_VECTORS
  st1 {v0.2d-v3.2d}, [x0], #64
  st1 {v4.2d-v7.2d}, [x0], #64
  st1 {v8.2d-v11.2d}, [x0], #64
  st1 {v12.2d-v15.2d}, [x0], #64
  st1 {v16.2d-v19.2d}, [x0], #64
  st1 {v20.2d-v23.2d}, [x0], #64
  st1 {v24.2d-v27.2d}, [x0], #64
  st1 {v28.2d-v31.2d}, [x0], #64
  ldr x0, =FRAMES
  add x1, x19, #O_DATA
  mov x2, #DATA_BYTES
  bl copy
  mov x0, #RESULT_BYTES
  add x19, x19, x0
  str x19, [sp, #S_RESULT]
  ldr x0, [sp, #S_SEQUENCE]
  add x0, x0, #INPUT_BYTES
  str x0, [sp, #S_SEQUENCE]
  b next_sequence

// x0: from, x1: to, x2: bytes, a multiple of 128
copy:
  ldp q0, q1, [x0], #32
  ldp q2, q3, [x0], #32
  ldp q4, q5, [x0], #32
  ldp q6, q7, [x0], #32
  stp q0, q1, [x1], #32
  stp q2, q3, [x1], #32
  stp q4, q5, [x1], #32
  stp q6, q7, [x1], #32
  subs x2, x2, #128
  b.ne copy
  ret

// Where there is no debugger, the first HLT leads to power_off.
.set SYS_OPEN, 0x01
.set SYS_CLOSE, 0x02
.set SYS_WRITE, 0x05
done:
  ldr x22, =INPUTS
  adr x1, scratch
  add x2, x22, #H_NAME
  mov x3, #5                            // "wb"
  stp x2, x3, [x1]
  ldr x2, [x22, #H_NAME_LENGTH]
  str x2, [x1, #16]
  mov w0, #SYS_OPEN
  hlt #0xf000
  mov x19, x0
  adr x1, scratch
  ldr x2, =RESULTS
  stp x19, x2, [x1]
  ldr x2, [x22, #H_COUNT]
  mov x3, #RESULT_BYTES
  mul x2, x2, x3
  str x2, [x1, #16]
  mov w0, #SYS_WRITE
  hlt #0xf000
  adr x1, scratch
  str x19, [x1]
  mov w0, #SYS_CLOSE
  hlt #0xf000
power_off:
  ldr w0, =0x84000008                   // PSCI's SYSTEM_OFF
  hvc #0
  b power_off

.balign 16
scratch:
  .quad 0, 0, 0, 0, 0, 0, 0, 0
.ltorg

.balign 2048
vectors:
  .rept 8
  b power_off
  .balign 128
  .endr
  b on_exception
  .balign 128
  .rept 7
  b power_off
  .balign 128
  .endr

.balign 4096
level1:
  .quad DEVICE_BLOCK
  .quad level2 + 3
  .fill 510, 8, 0
level2:
  .quad 0
  .quad 0x40200000 + NORMAL_BLOCK       // This program
  .quad INPUTS + NORMAL_BLOCK + EL0_READS + NOT_BY_EL1
  .quad 0
  .set block, RESULTS
  .rept (FRAMES - RESULTS) / 0x200000 + 1
  .quad block + NORMAL_BLOCK + NEVER_EXECUTED
  .set block, block + 0x200000
  .endr
  .fill (USER_DATA - FRAMES) / 0x200000 - 1, 8, 0
  .quad level3 + 3
  .balign 4096
level3:
  .quad FRAMES + 0x1000 + NORMAL_PAGE + EL0_WRITES + NEVER_EXECUTED
  .quad FRAMES + NORMAL_PAGE + EL0_WRITES + NEVER_EXECUTED
  .quad 0
  .quad FRAMES + 0x2000 + NORMAL_PAGE + EL0_WRITES + NEVER_EXECUTED
  .quad FRAMES + 0x3000 + NORMAL_PAGE + EL0_READS + NEVER_EXECUTED
  .quad FRAMES + 0x3000 + NORMAL_PAGE - 0x400 + EL0_WRITES + NEVER_EXECUTED
  .quad FRAMES + 0x3000 + NORMAL_PAGE + NEVER_EXECUTED
  .balign 4096

.section .inputs, "a"
  .fill 0x4000 + CAPACITY * INPUT_BYTES, 1, 0
