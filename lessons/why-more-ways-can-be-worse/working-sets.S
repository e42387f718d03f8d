// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guest of the lesson on associativity: a pointer walk over three working sets. Every element is one 64-byte line that
// holds the address of the next, and the last leads back to the first; so each load must wait for the one before it.
//
//   compact     192 lines (12 KB), one behind the other
//   scattered   192 lines (12 KB), drawn at random out of 1 MB
//   large      1536 lines (96 KB), one behind the other, visited in steps of 613
//
// All of them lie in one 2 MB page (boot.S maps memory so), where no TLB miss disturbs the count. Each is walked twice
// before the part that counts.
//
// Marks: 1 before the compact walk · 2 after it · 3 before the scattered walk · 4 after it · 5 before the large walk
//        6 after it

.include "guest.inc"

.set COMPACT, 0x6000000
.set LARGE, 0x6010000
.set SCATTERED, 0x6100000
.set SMALL_LINES, 192
.set LARGE_LINES, 1536
.set LARGE_STEP, 613                     # has no divisor in common with 1536: every line is visited
.set PASSES, 4
.set WARM_PASSES, 2

// Walks a closed chain from RBX: `lines` times `passes` loads. Adds what it sees to R12.
.macro walk label, lines, passes
  mov $\lines * \passes, %ecx
place \label
  mov (%rbx), %rbx
  add %rbx, %r12
  rol $1, %r12
  dec %ecx
  jnz \label
.endm

.text
function kernel_main
  xor %r12d, %r12d

place build_compact
  mov $COMPACT, %ebx
  mov %ebx, %edi
  mov $SMALL_LINES - 1, %ecx
1:
  lea 64(%rdi), %eax
  mov %rax, (%rdi)
  mov %eax, %edi
  dec %ecx
  jnz 1b
  mov %rbx, (%rdi)
  walk warm_compact, SMALL_LINES, WARM_PASSES
  mark 1
  walk the_compact_load, SMALL_LINES, PASSES
  mark 2

place build_scattered                    # EDI: the line drawn last; a line that holds something is taken already
  mov $SCATTERED, %ebx
  mov %ebx, %edi
  mov $20180602, %esi
  mov %rbx, (%rdi)
  mov $SMALL_LINES - 1, %ecx
2:
  imul $1103515245, %esi, %esi
  add $12345, %esi
  mov %esi, %eax
  shr $16, %eax
  and $0x3fff, %eax                      # one of the 16,384 lines of 1 MB
  shl $6, %eax
  add $SCATTERED, %eax
  cmpq $0, (%rax)
  jne 2b
  mov %rax, (%rdi)
  mov %rbx, (%rax)                       # closed at every time, so no line of the chain is empty
  mov %eax, %edi
  dec %ecx
  jnz 2b
  walk warm_scattered, SMALL_LINES, WARM_PASSES
  mark 3
  walk the_scattered_load, SMALL_LINES, PASSES
  mark 4

place build_large
  mov $LARGE, %ebx
  mov %ebx, %edi
  xor %edx, %edx                         # number of the line
  mov $LARGE_LINES - 1, %ecx
3:
  add $LARGE_STEP, %edx
  cmp $LARGE_LINES, %edx
  jb 4f
  sub $LARGE_LINES, %edx
4:
  mov %edx, %eax
  shl $6, %eax
  add $LARGE, %eax
  mov %rax, (%rdi)
  mov %eax, %edi
  dec %ecx
  jnz 3b
  mov %rbx, (%rdi)
  walk warm_large, LARGE_LINES, WARM_PASSES
  mark 5
  walk the_large_load, LARGE_LINES, PASSES
  mark 6

  print "working-sets: checksum "
  mov %r12, %rdi
  call print_hex
  print "\n"
  exit 0
