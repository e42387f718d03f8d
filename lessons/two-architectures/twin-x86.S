// SPDX-License-Identifier: GPL-3.0-or-later
//
// One of a pair of guests, with twin-aarch64.S: the same ideas in the same order, under the same labels and marks. A
// question about the processor, a call to whoever is below, the first touch of a page, a load behind four tables that
// nothing else uses, a letter to the serial port, one timer interrupt. On bare hardware nobody serves VMCALL: the
// handler of #UD skips it. Neither console nor memory depend on what was answered.
//
// Marks: 1 the question · 2 the call · 3 the first touch · 4 the cold load · 5 the letter · 6 the interrupt · 7 the end

.include "guest.inc"

.set COLD_PAGE, 5 << 39 | 17 << 30 | 33 << 21 | 65 << 12
.set COLD_ADDRESS, COLD_PAGE + 0x128

// Guest-physical memory.
.set COLD_PDPT, 0x2001000
.set COLD_PD, 0x2802000
.set COLD_PT, 0x3003000
.set COLD_FRAME, 0x3804000
.set UNTOUCHED, 0x5005000

.set TABLE, PTE_P | PTE_W
.set COLD_VALUE, 0x01d

.set CALL_VERSION, 0              # of the VMM's interface
.set VMCALL_BYTES, 3

.set APIC, 0xfee00000
.set APIC_EOI, 0xb0
.set APIC_SPURIOUS, 0xf0
.set APIC_LVT_TIMER, 0x320
.set APIC_LVT_LINT0, 0x350
.set APIC_LVT_LINT1, 0x360
.set APIC_INITIAL_COUNT, 0x380
.set APIC_DIVIDE, 0x3e0
.set APIC_ON, 0x100
.set APIC_MASKED, 1 << 16
.set TIMER_PERIOD, 10000

.text
function kernel_main
  mov $VECTOR_UD, %edi
  lea undefined_handler(%rip), %rsi
  call set_handler
  mov $VECTOR_TIMER, %edi
  lea timer_handler(%rip), %rsi
  call set_handler
place build_cold_path
  movq $COLD_PDPT | TABLE, boot_pml4 + 5 * 8
  movq $COLD_PD | TABLE, COLD_PDPT + 17 * 8
  movq $COLD_PT | TABLE, COLD_PD + 33 * 8
  movq $COLD_FRAME | TABLE, COLD_PT + 65 * 8
  movq $COLD_VALUE, COLD_FRAME + 0x128
  mov $APIC, %r14d
  movl $APIC_ON | VECTOR_SPURIOUS, APIC_SPURIOUS(%r14)
  movl $APIC_MASKED, APIC_LVT_LINT0(%r14)
  movl $APIC_MASKED, APIC_LVT_LINT1(%r14)
  movl $0xb, APIC_DIVIDE(%r14)         # by 1

  mark 1
  mov $1, %eax
  xor %ecx, %ecx
place the_question
  cpuid
place after_question
  xor %ebx, %ebx
  xor %ecx, %ecx
  xor %edx, %edx

  mark 2
  mov $CALL_VERSION, %eax
place the_call
  vmcall
place after_call
  mov $UNTOUCHED, %r12d

  mark 3
  mov $0x2a, %eax
place the_first_touch
  mov %rax, (%r12)
place after_first_touch
  movabs $COLD_ADDRESS, %r13

place forget_translations
  mov %cr3, %rax
  mov %rax, %cr3
  mark 4
  nop                                  # brings this code's own translation back, so that the load's walk stands alone
place the_cold_load
  mov (%r13), %rax
place after_cold_load
  cmp $COLD_VALUE, %rax
  jne failed

  mark 5
  mov $PORT_COM1, %edx
  mov $'*', %eax
place the_letter
  out %al, (%dx)
place after_letter

  mark 6
place the_controller_write
  movl $VECTOR_TIMER, APIC_LVT_TIMER(%r14)      # once, and not masked
place after_controller_write
  nop
place the_timer_start
  movl $TIMER_PERIOD, APIC_INITIAL_COUNT(%r14)
place after_timer_start
  sti
place the_wait
  hlt
place after_wait
  cli
  cmpq $0, ticks
  jne 1f
  sti
  jmp the_wait
1:
  mark 7
  print " two-architectures: done\n"
  exit 0

failed:
  print " two-architectures: FAIL\n"
  exit 1

// RDI: frame. Interrupt 32: the controller has told its number already, by the vector.
function timer_handler
  incq ticks
place the_end_of_interrupt
  movl $0, APIC_EOI(%r14)
place after_end_of_interrupt
  mov %rdi, %rax
  ret

// RDI: frame
function undefined_handler
  addq $VMCALL_BYTES, FRAME_RIP(%rdi)
  mov %rdi, %rax
  ret

.data
.balign 8
place ticks
  .quad 0
