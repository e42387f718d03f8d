// SPDX-License-Identifier: GPL-3.0-or-later
//
// From the multiboot-1 hand-over (32-bit protected mode, no paging) to 64-bit ring 0, and what every guest needs there.
//
// A guest defines `kernel_main` (called in 64-bit mode, interrupts off, on boot_stack; must not return).
// Offered here (System V calling convention):
//   print_string(rdi text)  print_character(edi)  print_hex(rdi)  print_decimal(rdi)  exit_machine(edi status)
//   set_handler(edi vector, rsi function)   the function gets the frame in RDI and returns the frame to resume in RAX
//   set_gate(edi vector, rsi entry, edx type and attributes, ecx IST)                a raw gate, for own entry code
//   set_system_call_entry(rdi entry)        where SYSCALL goes; it arrives with interrupts off, on ring 3's stack
// The memory map: 0..2 MB identity with 4 KB pages (the image lies at 1 MB), 2..256 MB identity with 2 MB pages,
// the local APIC's page at its own address, uncached. All of it supervisor, writable, executable.
// Left out: SMP, ACPI, everything beyond the first 256 MB.

.include "guest.inc"

.section .multiboot, "a"
.balign 4
multiboot_header:
  .long MULTIBOOT_HEADER_MAGIC, 0, -MULTIBOOT_HEADER_MAGIC

// ---- 32-bit entry -------------------------------------------------------------------------------------------------
.section .text.boot, "ax"
.code32
place _start
  cld
  mov $boot_stack_top, %esp
  mov $text_no_multiboot, %esi
  cmp $MULTIBOOT_LOADER_MAGIC, %eax
  jne boot_failed

place check_long_mode
  mov $text_no_long_mode, %esi
  mov $0x80000000, %eax
  cpuid
  cmp $0x80000001, %eax
  jb boot_failed
  mov $0x80000001, %eax
  cpuid
  and $(1 << 29 | 1 << 20 | 1 << 11), %edx       # long mode, no-execute, SYSCALL
  cmp $(1 << 29 | 1 << 20 | 1 << 11), %edx
  jne boot_failed

place build_page_tables
  movl $boot_pdpt + (PTE_P | PTE_W), boot_pml4
  movl $boot_pd + (PTE_P | PTE_W), boot_pdpt
  movl $boot_pd_apic + (PTE_P | PTE_W), boot_pdpt + 3 * 8
  movl $boot_pt_apic + (PTE_P | PTE_W), boot_pd_apic + 0x1f7 * 8
  movl $0xfee00000 + (PTE_P | PTE_W | PTE_PWT | PTE_PCD), boot_pt_apic
  movl $boot_pt + (PTE_P | PTE_W), boot_pd
  mov $(PTE_P | PTE_W), %eax                     # 4 KB pages for the first 2 MB
  mov $boot_pt, %edi
1:
  mov %eax, (%edi)
  add $8, %edi
  add $0x1000, %eax
  cmp $0x200000, %eax
  jb 1b
  or $PTE_PS, %eax                               # 2 MB pages for the rest of the RAM
  mov $boot_pd + 8, %edi
2:
  mov %eax, (%edi)
  add $8, %edi
  add $0x200000, %eax
  cmp $0x10000000, %eax
  jb 2b

place enter_long_mode
  mov $CR4_PAE, %eax
  mov %eax, %cr4
  mov $boot_pml4, %eax
  mov %eax, %cr3
  mov $MSR_EFER, %ecx
  rdmsr
  or $(EFER_SCE | EFER_LME | EFER_NXE), %eax
  wrmsr
  mov $(CR0_PG | CR0_WP | CR0_PE | CR0_MP | 1 << 4), %eax
  mov %eax, %cr0                                 # paging on: EFER.LMA becomes 1, the code is 32-bit compatibility mode
  lgdt gdt_register
  ljmp $SELECTOR_KERNEL_CODE, $long_mode_entry

// ESI: text. The only report that 32-bit code can make.
place boot_failed
  mov $PORT_COM1, %edx
1:
  lodsb
  test %al, %al
  jz 2f
  mov %al, %cl
  add $5, %edx
3:
  in (%dx), %al
  test $0x20, %al
  jz 3b
  sub $5, %edx
  mov %cl, %al
  out %al, (%dx)
  jmp 1b
2:
  mov $100, %eax
  out %eax, $PORT_EXIT
4:
  hlt
  jmp 4b

// ---- 64-bit entry -------------------------------------------------------------------------------------------------
.code64
place long_mode_entry
  mov $SELECTOR_KERNEL_DATA, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  xor %eax, %eax
  mov %eax, %fs
  mov %eax, %gs
  mov $boot_stack_top, %rsp

place build_task_state_segment
  movq $boot_stack_top, task_state_segment + 4           # RSP0: the stack of traps from ring 3
  movq $fault_stack_top, task_state_segment + 36         # IST1
  movw $104, task_state_segment + 102                    # no I/O permission map: it would begin behind the limit
  mov $task_state_segment, %eax
  mov %ax, gdt + SELECTOR_TSS + 2                        # the base is scattered over the descriptor
  shr $16, %eax
  mov %al, gdt + SELECTOR_TSS + 4
  mov %ah, gdt + SELECTOR_TSS + 7
  mov $SELECTOR_TSS, %eax
  ltr %ax

place build_interrupt_descriptor_table
  xor %ebx, %ebx
  lea vector_stubs(%rip), %r12
1:
  mov %ebx, %edi
  mov %r12, %rsi
  mov $0x8e, %edx                                        # present, ring 0, 64-bit interrupt gate
  xor %ecx, %ecx
  cmp $VECTOR_DF, %ebx
  sete %cl                                               # a double fault gets a stack that is good for sure
  call set_gate
  add $16, %r12
  inc %ebx
  cmp $VECTORS, %ebx
  jb 1b
  lidt idt_register
  xor %ebx, %ebx
  xor %r12d, %r12d
  xor %ebp, %ebp
  call kernel_main
  exit 101

// set_gate(edi vector, rsi entry, edx type and attributes, ecx IST)
function set_gate
  shl $4, %edi
  add $idt, %rdi
  mov %rsi, %rax
  mov %ax, (%rdi)
  movw $SELECTOR_KERNEL_CODE, 2(%rdi)
  mov %cl, 4(%rdi)
  mov %dl, 5(%rdi)
  shr $16, %rax
  mov %ax, 6(%rdi)
  shr $16, %rax
  mov %rax, 8(%rdi)
  ret

// set_handler(edi vector, rsi function)
function set_handler
  mov %edi, %edi
  mov %rsi, handlers(, %rdi, 8)
  ret

// set_system_call_entry(rdi entry)
function set_system_call_entry
  mov $MSR_STAR, %ecx
  xor %eax, %eax
  mov $(SELECTOR_USER_CODE32 << 16 | SELECTOR_KERNEL_CODE), %edx
  wrmsr
  mov $MSR_LSTAR, %ecx
  mov %rdi, %rax
  mov %rdi, %rdx
  shr $32, %rdx
  wrmsr
  mov $MSR_SFMASK, %ecx
  mov $(RFLAGS_IF | RFLAGS_TF | RFLAGS_DF | RFLAGS_AC | RFLAGS_NT), %eax
  xor %edx, %edx
  wrmsr
  ret

// One stub a vector, 16 bytes each, so that all frames look the same: error code (0 where the CPU pushes none), vector.
.balign 16, 0x90
place vector_stubs
.set stub_vector, 0
.rept VECTORS
  .balign 16, 0x90
  .if !(stub_vector == 8 || (stub_vector >= 10 && stub_vector <= 14) || stub_vector == 17)
  push $0
  .endif
  push $stub_vector
  jmp interrupt_entry
  .set stub_vector, stub_vector + 1
.endr

function interrupt_entry
  push %rax
  push %rbx
  push %rcx
  push %rdx
  push %rsi
  push %rdi
  push %rbp
  push %r8
  push %r9
  push %r10
  push %r11
  push %r12
  push %r13
  push %r14
  push %r15
  cld
  mov %rsp, %rdi
  mov FRAME_VECTOR(%rdi), %rax
  mov handlers(, %rax, 8), %rax
  test %rax, %rax
  jz unexpected_interrupt
  call *%rax
place resume_frame                                       # RAX: the frame to go on with
  mov %rax, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %r11
  pop %r10
  pop %r9
  pop %r8
  pop %rbp
  pop %rdi
  pop %rsi
  pop %rdx
  pop %rcx
  pop %rbx
  pop %rax
  add $16, %rsp
place interrupt_return
  iretq

function unexpected_interrupt
  mov %rdi, %rbx
  print "unexpected vector "
  mov FRAME_VECTOR(%rbx), %rdi
  call print_decimal
  print " error "
  mov FRAME_ERROR(%rbx), %rdi
  call print_hex
  print " at "
  mov FRAME_RIP(%rbx), %rdi
  call print_hex
  print " CR2 "
  mov %cr2, %rdi
  call print_hex
  print "\n"
  exit 102

// ---- Console, exit ------------------------------------------------------------------------------------------------
// print_string(rdi zero-terminated text)
function print_string
  mov %rdi, %rsi
  mov $PORT_COM1, %edx
1:
  movzbl (%rsi), %ecx
  test %ecx, %ecx
  jz 3f
  inc %rsi
  add $5, %edx
2:
  in (%dx), %al                                          # line status: bit 5 says that the transmitter takes a byte
  test $0x20, %al
  jz 2b
  sub $5, %edx
  mov %ecx, %eax
  out %al, (%dx)
  jmp 1b
3:
  ret

// print_character(edi)
function print_character
  mov $PORT_COM1 + 5, %edx
1:
  in (%dx), %al
  test $0x20, %al
  jz 1b
  sub $5, %edx
  mov %edi, %eax
  out %al, (%dx)
  ret

// print_hex(rdi): "0x" and as many digits as it takes
function print_hex
  lea digits_end(%rip), %rsi
  mov %rdi, %rax
1:
  mov %eax, %ecx
  and $15, %ecx
  mov hex_digits(%rcx), %cl
  dec %rsi
  mov %cl, (%rsi)
  shr $4, %rax
  jnz 1b
  sub $2, %rsi
  movw $0x7830, (%rsi)
  mov %rsi, %rdi
  jmp print_string

// print_decimal(rdi): unsigned
function print_decimal
  lea digits_end(%rip), %rsi
  mov %rdi, %rax
  mov $10, %ecx
1:
  xor %edx, %edx
  div %rcx
  add $'0', %edx
  dec %rsi
  mov %dl, (%rsi)
  test %rax, %rax
  jnz 1b
  mov %rsi, %rdi
  jmp print_string

// exit_machine(edi status): where there is no exit port, it halts for good.
function exit_machine
  cli
  mov %edi, %eax
  out %eax, $PORT_EXIT
1:
  hlt
  jmp 1b

// ---- Data ---------------------------------------------------------------------------------------------------------
.section .rodata
text_no_multiboot:
  .asciz "boot: this image wants a multiboot-1 loader\n"
text_no_long_mode:
  .asciz "boot: this image wants a CPU with long mode, no-execute and SYSCALL\n"
hex_digits:
  .ascii "0123456789abcdef"

.data
.balign 16
place gdt
  .quad 0
  .quad 0x00af9b000000ffff                               # 0x08 kernel code, 64-bit
  .quad 0x00cf93000000ffff                               # 0x10 kernel data
  .quad 0x00cffb000000ffff                               # 0x18 user code, 32-bit (SYSRET counts from here)
  .quad 0x00cff3000000ffff                               # 0x20 user data
  .quad 0x00affb000000ffff                               # 0x28 user code, 64-bit
  .quad 0x0000890000000067, 0                            # 0x30 64-bit TSS, available; its base is filled in
gdt_end:
gdt_register:
  .word gdt_end - gdt - 1
  .quad gdt
idt_register:
  .word 256 * 16 - 1
  .quad idt

.bss
.balign 4096
place boot_pml4
  .skip 4096
place boot_pdpt
  .skip 4096
place boot_pd
  .skip 4096
place boot_pt
  .skip 4096
place boot_pd_apic
  .skip 4096
place boot_pt_apic
  .skip 4096
place boot_stack
  .skip 16384
place boot_stack_top
place fault_stack
  .skip 4096
place fault_stack_top
place idt
  .skip 256 * 16
place handlers
  .skip 256 * 8
place task_state_segment
  .skip 104
  .balign 8
digits:
  .skip 24
digits_end:
  .skip 8                                                # stays zero: ends the text that print_hex and print_decimal make
