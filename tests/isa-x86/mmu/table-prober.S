// SPDX-License-Identifier: GPL-3.0-or-later
//
// Makes memory accesses under given page tables and control registers, and writes down how each ended. The test puts
// requests and tables beside it in memory. It fills a playground with INT3, so that every access that is allowed ends
// in #BP: reads and writes by the INT3 behind them, fetches by the one they fetch.
//   Request, 64 bytes: address, kind (0 read, 1 write, 2 fetch), ring 3 or 0, CR0, CR4, EFER, RFLAGS, unused
//   Answer, 32 bytes:  vector, error code, CR2, unused

.set BASE, 0x100000
.set REQUESTS, 0x180000
.set TABLES, 0x200000
.set PLAYGROUND, 0x800000
.set PLAYGROUND_BYTES, 24 << 20
.set ANSWERS, 0x3000000
.set STACK_TOP, 0x104000
.set EFER, 0xc0000080

.section .text
base:
.balign 4
  .long 0x1badb002, 0, -0x1badb002

.code32
.globl _start
_start:
  cli
  cld
  mov $PLAYGROUND, %edi
  mov $0xcccccccc, %eax
  mov $PLAYGROUND_BYTES / 4, %ecx
  rep stosl
  mov $TABLES, %eax
  mov %eax, %cr3
  mov $1 << 5, %eax                     # PAE
  mov %eax, %cr4
  mov $EFER, %ecx
  mov $1 << 11 | 1 << 8, %eax           # NXE, LME
  xor %edx, %edx
  wrmsr
  mov $0x80000031, %eax                 # PG, NE, ET, PE
  mov %eax, %cr0
  lgdt gdt_pointer
  ljmp $0x08, $long_mode

.code64
long_mode:
  mov $0x10, %eax
  mov %eax, %ss
  mov %eax, %ds
  mov %eax, %es
  mov $STACK_TOP, %rsp
  lidt idt_pointer
  mov $0x28, %eax
  ltr %ax
  mov $REQUESTS + 64, %r15              # The first one holds the count.
  mov $ANSWERS, %r14
  mov REQUESTS, %r13

next_request:
  test %r13, %r13
  jz done
  mov 24(%r15), %rax
  mov %rax, %cr0
  mov 32(%r15), %rax
  mov %rax, %cr4
  mov $EFER, %ecx
  mov 40(%r15), %rax
  xor %edx, %edx
  wrmsr
  mov %cr3, %rax
  mov %rax, %cr3
  mov (%r15), %rdi
  mov 8(%r15), %rax
  cmpq $0, 16(%r15)
  jne in_user_mode
  pushq 48(%r15)
  popfq
  jmp *kernel_accesses(,%rax,8)
in_user_mode:
  pushq $0x1b                           # SS
  pushq $STACK_TOP
  pushq 48(%r15)
  pushq $0x23                           # CS
  pushq user_accesses(,%rax,8)
  iretq

kernel_read:
  mov (%rdi), %al
  int3
kernel_write:
  movb $0xcc, (%rdi)
  int3
kernel_fetch:
  jmp *%rdi

on_breakpoint:
  mov $STACK_TOP, %rsp
  movq $3, (%r14)
  jmp advance
on_general_protection:
  mov $13, %eax
  jmp with_error_code
on_page_fault:
  mov $14, %eax
with_error_code:
  mov %rax, (%r14)
  pop %rax
  mov %rax, 8(%r14)
  mov %cr2, %rax
  mov %rax, 16(%r14)
  mov $STACK_TOP, %rsp
advance:
  add $32, %r14
  add $64, %r15
  dec %r13
  jmp next_request

done:
  mov $0x80010031, %eax
  mov %rax, %cr0
  mov $1 << 5, %eax
  mov %rax, %cr4
  cli
halt:
  hlt
  jmp halt

.balign 8
kernel_accesses:
  .quad kernel_read, kernel_write, kernel_fetch
user_accesses:
  .quad user_read, user_write, user_fetch
gdt:
  .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff, 0x00cff2000000ffff, 0x00affa000000ffff
  .word 103, tss - base                 # 64-bit TSS; its base is BASE + that
  .byte BASE >> 16, 0x89, 0, 0
  .quad 0
gdt_pointer:
  .word . - gdt - 1
  .quad gdt
tss:
  .long 0
  .quad STACK_TOP
  .fill 88, 1, 0
  .word 0, 104

.macro gate handler, dpl
  .word \handler - base, 8
  .byte 0, 0x8e | \dpl << 5
  .word BASE >> 16
  .quad 0
.endm
.balign 8
idt:
  .fill 3 * 16, 1, 0
  gate on_breakpoint, 3
  .fill 9 * 16, 1, 0
  gate on_general_protection, 0
  gate on_page_fault, 0
idt_pointer:
  .word . - idt - 1
  .quad idt

.balign 4096                            # 0x101000, the one page that ring 3 may use
user_page:
user_read:
  mov (%rdi), %al
  int3
user_write:
  movb $0xcc, (%rdi)
  int3
user_fetch:
  jmp *%rdi
.balign 4096
