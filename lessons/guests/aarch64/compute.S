// SPDX-License-Identifier: GPL-3.0-or-later
//
// EL1 from beginning to end: arithmetic, calls, branches, loads and stores at random places of 64 KB, then a copy and a
// sum. Nothing in it traps but the console, so it shows what direct execution costs. It computes what its x86 twin
// does. ITERATIONS is set by the build (about 20 instructions each); the checksum depends on it.

.include "guest.inc"

.ifndef ITERATIONS
  .set ITERATIONS, 60000
.endif
.set BUFFER_QUADS, 8192

.text
function kernel_main
  constant x19, 0x9e3779b97f4a7c15       // state of the generator
  constant x20, 6364136223846793005
  constant x21, 1442695040888963407
  address x22, buffer
  mov x23, #0                            // sum
  mov x24, #0                            // iteration
  constant x25, ITERATIONS
  mark 1
place compute_loop
  madd x19, x19, x20, x21
  lsr x26, x19, #33
  and x26, x26, #(BUFFER_QUADS - 1)
  ldr x0, [x22, x26, lsl #3]
  eor x0, x0, x19
  bl compute_mix
  str x0, [x22, x26, lsl #3]
  add x23, x23, x0
  ror x23, x23, #63
  tbz x0, #0, 1f
  eor x23, x23, x24
1:
  add x24, x24, #1
  cmp x24, x25
  b.lo compute_loop

  mark 2
place compute_copy
  mov x0, x22
  address x1, copy
  add x2, x1, #BUFFER_QUADS * 8
2:
  ldp x3, x4, [x0], #16
  stp x3, x4, [x1], #16
  cmp x1, x2
  b.lo 2b
place compute_sum
  address x1, copy
3:
  ldr x3, [x1], #8
  add x23, x23, x3
  ror x23, x23, #57
  cmp x1, x2
  b.lo 3b

  mark 3
place compute_done
  print "compute: checksum "
  print_hex_of x23
  print "\n"
  power_off

// x0 = mix(x0); clobbers x1
function compute_mix
  lsr x1, x0, #7
  eor x0, x1, x0, ror #51
  add x0, x0, x0, lsl #2
  ret

.bss
.balign 4096
place buffer
  .skip BUFFER_QUADS * 8
place copy
  .skip BUFFER_QUADS * 8
