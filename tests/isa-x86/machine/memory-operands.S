// SPDX-License-Identifier: GPL-3.0-or-later
//
// Every shape of memory access that ordinary instructions make, at random offsets in a buffer: plain loads and stores
// of 1 to 16 bytes, read-modify-write, exchanges, locked ones, pushes and pops through memory, string instructions with
// and without REP, x87, FXSAVE, bit tests; many cross lines and pages. It prints a checksum of what was read.

.include "guest.inc"

.set ITERATIONS, 2500
.set BUFFER_BYTES, 16384

.text
function kernel_main
  mov %cr4, %rax
  or $0x600, %rax                                 # OSFXSR, OSXMMEXCPT
  mov %rax, %cr4
  mov $0x243f6a8885a308d3, %r12                   # state of the generator
  xor %r13d, %r13d                                # checksum
  mov $ITERATIONS, %r14d
place operand_loop
  mov $6364136223846793005, %rax
  imul %rax, %r12
  mov $1442695040888963407, %rax
  add %rax, %r12
  mov %r12, %rbx
  shr $40, %rbx
  mov %ebx, %ecx
  and $(ACTIONS - 1), %ecx
  shr $5, %ebx
  and $(BUFFER_BYTES - 1), %ebx
  lea buffer(%rip), %rsi
  add %rbx, %rsi
  mov %r12, %rdx
  call *actions(, %rcx, 8)
  rol $5, %r13
  add %rax, %r13
  dec %r14d
  jnz operand_loop
  print "memory-operands: "
  mov %r13, %rdi
  call print_hex
  print "\n"
  exit 0

.macro action name
  .pushsection .data.actions, "aw"
  .quad \name
  .popsection
\name:
.endm
.pushsection .data.actions, "aw"
.balign 8
actions:
.popsection

action load_byte
  movzbl (%rsi), %eax
  ret
action load_word
  movswq (%rsi), %rax
  ret
action load_quad
  mov (%rsi), %rax
  ret
action store_byte
  mov %dl, (%rsi)
  ret
action store_double
  mov %edx, (%rsi)
  ret
action store_quad
  mov %rdx, (%rsi)
  ret
action store_immediate
  movl $0x12345678, (%rsi)
  ret
action modify_quad
  add %rdx, (%rsi)
  ret
action modify_byte
  incb (%rsi)
  ret
action negate
  negq (%rsi)
  ret
action compare
  cmp %rdx, (%rsi)
  setc %al
  ret
action locked_add
  lock xaddq %rdx, (%rsi)
  mov %rdx, %rax
  ret
action exchange
  xchg %rdx, (%rsi)
  mov %rdx, %rax
  ret
action compare_exchange
  mov (%rsi), %rax
  cmpxchg %rdx, (%rsi)
  ret
action compare_exchange_wide
  and $~15, %rsi
  push %rbx
  mov (%rsi), %rax
  mov 8(%rsi), %rdx
  mov %r12, %rbx
  mov %r13, %rcx
  lock cmpxchg16b (%rsi)
  pop %rbx
  ret
action push_memory
  pushq (%rsi)
  pop %rax
  ret
action pop_memory
  push %rdx
  popq (%rsi)
  ret
action call_memory
  lea load_quad(%rip), %rax
  mov %rax, (%rsi)
  jmp *(%rsi)
action frame
  enter $32, $0
  mov %rdx, -8(%rbp)
  mov -8(%rbp), %rax
  leave
  ret
action move_strings
  lea 100(%rsi), %rdi
  movsb
  movsw
  movsq
  mov -8(%rdi), %rax
  ret
action repeated_move
  lea 200(%rsi), %rdi
  mov $37, %ecx
  rep movsb
  mov -8(%rdi), %rax
  ret
action compare_strings
  lea buffer(%rip), %rdi
  cmpsq
  setc %al
  ret
action store_string
  mov %rsi, %rdi
  mov %rdx, %rax
  stosq
  ret
action load_string
  lodsq
  ret
action vector_move
  movups (%rsi), %xmm0
  paddq %xmm0, %xmm0
  movups %xmm0, 3(%rsi)
  movq %xmm0, %rax
  ret
action vector_operand
  and $~15, %rsi
  pxor %xmm1, %xmm1
  paddb (%rsi), %xmm1
  movq %xmm1, %rax
  movntdq %xmm1, (%rsi)
  ret
action scalar_float
  cvtsi2sdq (%rsi), %xmm2
  movsd %xmm2, (%rsi)
  mov (%rsi), %rax
  ret
action old_float
  fildll (%rsi)
  fistpll 16(%rsi)
  mov 16(%rsi), %rax
  ret
action save_float
  fxsave save_area(%rip)                          # not into the buffer: processors differ in what they save
  mov save_area + 24(%rip), %eax                  # MXCSR; its exception flags are not modelled
  and $0xffc0, %eax
  add save_area + 160(%rip), %rax                 # XMM0
  ret
action bit_test
  and $63, %edx
  bts %rdx, (%rsi)
  setc %al
  ret
action shift_memory
  rolq $7, (%rsi)
  shldq $9, %rdx, (%rsi)
  mov (%rsi), %rax
  ret
action translate_byte
  lea buffer(%rip), %rbx
  mov %dl, %al
  xlat
  movzbl %al, %eax
  ret

.set ACTIONS, 32

.bss
.balign 4096
buffer:
  .skip BUFFER_BYTES + 8192
save_area:
  .skip 512
