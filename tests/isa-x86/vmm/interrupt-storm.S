// SPDX-License-Identifier: GPL-3.0-or-later
//
// A guest in which everything that decides when an interrupt is taken changes at random: IF, blocking by STI and MOV
// SS, task priority through the APIC's page and CR8, the timer's count, messages of three priorities, HLT, and between
// them instructions that leave for a VMM. Each handler folds the interrupted RIP and the time-stamp counter into R13:
// an interrupt that came one instruction early or late is never forgotten. It prints R13.

.include "guest.inc"

.set APIC, 0xfee00000
.set APIC_TPR, 0x80
.set APIC_EOI, 0xb0
.set APIC_SPURIOUS, 0xf0
.set APIC_COMMAND, 0x300
.set APIC_LVT_TIMER, 0x320
.set APIC_INITIAL, 0x380
.set APIC_CURRENT, 0x390
.set APIC_DIVIDE, 0x3e0
.set TO_SELF, 1 << 18
.set VECTOR_LOW, 33
.set VECTOR_MIDDLE, 0x41
.set VECTOR_HIGH, 0x52
.set ITERATIONS, 3000

.text
function kernel_main
  mov $0xff, %al                                  # the old interrupt controllers stay out of it
  out %al, $PORT_PIC_MASTER_DATA
  out %al, $PORT_PIC_SLAVE_DATA
  mov $VECTOR_TIMER, %edi
  lea on_framed(%rip), %rsi
  call set_handler
  mov $VECTOR_LOW, %edi
  lea on_framed(%rip), %rsi
  call set_handler
  mov $VECTOR_MIDDLE, %edi
  lea on_middle(%rip), %rsi
  mov $0x8e, %edx
  xor %ecx, %ecx
  call set_gate
  mov $VECTOR_HIGH, %edi
  lea on_high(%rip), %rsi
  mov $0x8e, %edx
  xor %ecx, %ecx
  call set_gate
  mov $APIC, %r15d
  movl $0x1ff, APIC_SPURIOUS(%r15)
  movl $0xb, APIC_DIVIDE(%r15)                    # by 1
  movl $(1 << 17 | VECTOR_TIMER), APIC_LVT_TIMER(%r15)
  movl $211, APIC_INITIAL(%r15)
  mov $0x243f6a8885a308d3, %r12                   # state of the generator
  xor %r13d, %r13d
  mov $ITERATIONS, %r14d
  sti
place storm_loop
  mov $6364136223846793005, %rax
  imul %rax, %r12
  mov $1442695040888963407, %rax
  add %rax, %r12
  mov %r12, %rbx
  shr $40, %rbx
  mov %ebx, %ecx
  and $15, %ecx
  shr $4, %ebx
  jmp *actions(, %rcx, 8)
place storm_next
  dec %r14d
  jnz storm_loop
  cli
  movl $(1 << 16), APIC_LVT_TIMER(%r15)
  print "interrupt-storm: "
  mov %r13, %rdi
  call print_hex
  print "\n"
  exit 0

// Through boot.S: RDI is the frame.
function on_framed
  mov FRAME_R13(%rdi), %rcx
  xor FRAME_RIP(%rdi), %rcx
  rol $7, %rcx
  rdtsc
  shl $32, %rdx
  or %rdx, %rax
  add %rcx, %rax
  mov %rax, FRAME_R13(%rdi)
  mov $APIC, %ecx
  movl $0, APIC_EOI(%rcx)
  mov %rdi, %rax
  ret

// Lets the higher one in before its own end.
function on_middle
  push %rax
  push %rcx
  push %rdx
  sti
  rdtsc
  xor %rax, %r13
  nop
  rol $5, %r13
  cli
  add 24(%rsp), %r13                              # RIP
  mov $APIC, %ecx
  movl $0, APIC_EOI(%rcx)
  pop %rdx
  pop %rcx
  pop %rax
  iretq

function on_high
  push %rax
  push %rcx
  push %rdx
  rdtsc
  xor %rax, %r13
  rol $11, %r13
  add 24(%rsp), %r13
  mov $APIC, %ecx
  movl $0, APIC_EOI(%rcx)
  pop %rdx
  pop %rcx
  pop %rax
  iretq

place do_cli
  cli
  xor %rbx, %r13
  nop
  nop
  sti
  nop
  jmp storm_next
place do_hlt
  movl $0, APIC_TPR(%r15)
  sti
  hlt
  jmp storm_next
place do_priority
  and $0x70, %ebx
  mov %ebx, APIC_TPR(%r15)
  jmp storm_next
place do_low
  movl $(TO_SELF | VECTOR_LOW), APIC_COMMAND(%r15)
  jmp storm_next
place do_middle
  movl $(TO_SELF | VECTOR_MIDDLE), APIC_COMMAND(%r15)
  jmp storm_next
place do_high
  movl $(TO_SELF | VECTOR_HIGH), APIC_COMMAND(%r15)
  jmp storm_next
place do_cpuid
  xor %eax, %eax
  cpuid
  xor %rbx, %r13
  jmp storm_next
place do_mov_ss
  mov %ss, %eax
  mov %eax, %ss
  add %rbx, %r13
  jmp storm_next
place do_count
  and $0x7f, %ebx
  add $150, %ebx
  mov %ebx, APIC_INITIAL(%r15)
  jmp storm_next
place do_read_count
  mov APIC_CURRENT(%r15), %eax
  xor %rax, %r13
  rol $3, %r13
  jmp storm_next
place do_port
  mov $PORT_COM1 + 5, %edx
  in (%dx), %al
  movzbl %al, %eax
  add %rax, %r13
  jmp storm_next
place do_flags
  pushf
  cli
  xor %rbx, %r13
  nop
  popf
  nop
  jmp storm_next
place do_fill
  mov $0x400000, %edi
  mov $40, %ecx
  rep stosb
  jmp storm_next
place do_page
  and $0x7ff, %ebx
  shl $12, %ebx
  add %r12, 0x800000(%rbx)                        # 8 MB to 16 MB: often a page that the VMM has not mapped yet
  add 0x800000(%rbx), %r13
  jmp storm_next
place do_cr8
  mov %cr8, %rax
  xor %rax, %r13
  and $3, %ebx
  mov %rbx, %cr8
  jmp storm_next
place do_requests
  mov 0x210(%r15), %eax                           # IRR 32 to 63
  add 0x120(%r15), %eax                           # ISR 64 to 95
  xor %rax, %r13
  jmp storm_next

.section .rodata
.balign 8
actions:
  .quad do_cli, do_hlt, do_priority, do_low, do_middle, do_high, do_cpuid, do_mov_ss
  .quad do_count, do_read_count, do_port, do_flags, do_fill, do_page, do_cr8, do_requests
