// SPDX-License-Identifier: GPL-3.0-or-later
//
// Ring 0 from beginning to end: arithmetic, calls, branches, loads and stores at random places of 64 KB, then a copy and
// a sum. Nothing in it traps but the console, so it shows what direct execution costs. ITERATIONS is set by the build
// (about 20 instructions each); the checksum depends on it.

.include "guest.inc"

.ifndef ITERATIONS
  .set ITERATIONS, 60000
.endif
.set BUFFER_QUADS, 8192

.text
function kernel_main
  mov $0x9e3779b97f4a7c15, %rbx          # state of the generator
  mov $6364136223846793005, %r12
  mov $1442695040888963407, %r13
  lea buffer(%rip), %r14
  xor %ebp, %ebp                         # sum
  xor %r15d, %r15d                       # iteration
place compute_loop
  imul %r12, %rbx
  add %r13, %rbx
  mov %rbx, %rcx
  shr $33, %rcx
  and $(BUFFER_QUADS - 1), %ecx
  mov (%r14, %rcx, 8), %rax
  xor %rbx, %rax
  call compute_mix
  mov %rax, (%r14, %rcx, 8)
  add %rax, %rbp
  rol $1, %rbp
  test $1, %al
  jz 1f
  xor %r15, %rbp
1:
  inc %r15
  cmp $ITERATIONS, %r15
  jb compute_loop

place compute_copy
  mov %r14, %rsi
  lea copy(%rip), %rdi
  mov $BUFFER_QUADS, %ecx
  rep movsq
place compute_sum
  lea copy(%rip), %rsi
  mov $BUFFER_QUADS, %ecx
2:
  add (%rsi), %rbp
  rol $7, %rbp
  add $8, %rsi
  dec %ecx
  jnz 2b

place compute_done
  print "compute: checksum "
  mov %rbp, %rdi
  call print_hex
  print "\n"
  exit 0

// rax = mix(rax); clobbers rdx
function compute_mix
  mov %rax, %rdx
  rol $13, %rax
  shr $7, %rdx
  xor %rdx, %rax
  lea (%rax, %rax, 4), %rax
  ret

.bss
.balign 4096
place buffer
  .skip BUFFER_QUADS * 8
place copy
  .skip BUFFER_QUADS * 8
