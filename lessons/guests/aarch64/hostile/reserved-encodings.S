// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile, but it ends: instructions that do not exist, at EL1. Each must raise class 0, UNDEFINED; the handler skips
// it.

.include "guest.inc"

.text
function kernel_main
  mov x0, #VECTOR_SAME_SYNCHRONOUS
  address x1, undefined_handler
  bl set_handler
place the_encodings
  .inst 0x00000000                     // UDF #0
  .inst 0x0000ffff                     // UDF #65535
  .inst 0x02000000                     // op0 0001: unallocated
  .inst 0x06000000                     // op0 0011: unallocated
  .inst 0xd4000000                     // exception generation, LL 00
  .inst 0xd4000005                     // op2 001
  .inst 0xd4200001                     // BRK with LL 01
  .inst 0xd4400002                     // HLT with LL 10
  .inst 0xd4a00001                     // DCPS1: outside debug state
  .inst 0xd6bf03e0                     // DRPS: outside debug state
  .inst 0xd69f03ff                     // ERET with Rm 11111
  .inst 0xd61f0001                     // BR with op4 1
  .inst 0xd63fc000                     // BLR with op3 110000
  .inst 0xd5080000                     // SYS of an unallocated operation
  .inst 0xd538f000                     // MRS of an unallocated register
  .inst 0xd53c1100                     // MRS of HCR_EL2
  .inst 0xd53e1100                     // MRS of SCR_EL3
  .inst 0xd50c871f                     // TLBI ALLE2
  .inst 0xd51e1100                     // MSR to SCR_EL3
  .inst 0xd51b0020                     // MSR to CTR_EL0: read-only
  .inst 0xd5180000                     // MSR to MIDR_EL1: read-only
  .inst 0x1ac0fc00                     // two-source operation 111111
  .inst 0xdac07c00                     // one-source operation 011111
  .inst 0x9ac00000                     // two-source operation 000000
  .inst 0x12400000                     // 32-bit AND immediate with N set
  .inst 0x0b00fc00                     // 32-bit ADD, shift amount of 63
place encodings_end
  print "reserved-encodings: "
  address x0, undefined_count
  ldr x0, [x0]
  bl print_decimal
  print " undefined of "
  mov x0, #(encodings_end - the_encodings) / 4
  bl print_decimal
  print "\n"
  power_off

// X0: frame
function undefined_handler
  ldr x1, [x0, #FRAME_ESR]
  lsr x1, x1, #EC_SHIFT
  cbnz x1, unexpected_exception
  address x2, undefined_count
  ldr x1, [x2]
  add x1, x1, #1
  str x1, [x2]
  ldr x1, [x0, #FRAME_ELR]
  add x1, x1, #4
  str x1, [x0, #FRAME_ELR]
  ret

.bss
.balign 8
undefined_count:
  .skip 8
