// SPDX-License-Identifier: GPL-3.0-or-later
//
// A small kernel that checks the machine it runs on. Ring 0 first checks exceptions, model-specific registers, paging and
// self-modifying code; then two ring-3 tasks run side by side, each in an address space of its own, preempted by the local
// APIC's timer; then a row of rogue tasks does what ring 3 may not. Each check prints "ok   NAME" or "FAIL NAME".
//
// Nothing that is printed, and nothing that memory holds at the end, depends on when the timer struck: tasks compute into
// their own pages, frames come from a pool a task, and what saw the interleaving is wiped before the end.
//
//   kernel.S            the checks of ring 0, and the order of things
//   kernel-memory.inc   frames, page tables
//   kernel-tasks.inc    exceptions, scheduler, system calls, demand paging
//   kernel-user.inc     ring 3
//
// Marks: 1 ring 0's checks · 2 paging checks · 3 the two tasks · 4 the rogues · 5 the end

.include "guest.inc"

// The virtual addresses at which ring 0 tries paging out.
.set TEST_1GB_PAGE, 3 << 39
.set TEST_2MB_PAGE, 1 << 39
.set TEST_AREA, 1 << 39 | 2 << 30
.set BAD_PML4_AREA, 2 << 39
.set NOT_CANONICAL, 1 << 63
.set UNMAPPED, TEST_AREA + 0x1ff000

// Where emulators disagree about an error code, it is not compared as a whole.
.set ANY_ERROR, -1

// What CPUID reports, as this kernel remembers it.
.set HAS_SMEP, 1 << 0
.set HAS_SMAP, 1 << 1
.set HAS_PCID, 1 << 2
.set HAS_1GB_PAGES, 1 << 3

.set TICKS_WANTED, 10

// Reports a check: AL says whether it held.
.macro report name
  .pushsection .rodata
9:
  .asciz "\name"
  .popsection
  movzbl %al, %edi
  lea 9b(%rip), %rsi
  call report_check
.endm

// Runs one instruction that must raise `vector` with `error`, CR2 (page faults only) and RIP as given: AL is 1 if so.
.macro faults_as vector, error, address, rip, instruction:vararg
  movq $8f, expected_resume
  mov %rsp, expected_stack
  movl $0, caught_count
7:
  \instruction
8:
  mov $\vector, %edi
  mov $\error, %esi
  movabs $\address, %rdx
  movabs $\rip, %rcx
  call caught_as_expected
.endm

.macro faults name, vector, error, address, rip, instruction:vararg
  faults_as \vector, \error, \address, \rip, \instruction
  report "\name"
.endm

.text
function kernel_main
  xor %ebx, %ebx
place install_handlers
  lea exception_handler(%rip), %rsi
  mov %ebx, %edi
  call set_handler
  inc %ebx
  cmp $32, %ebx
  jb install_handlers
  mov $VECTOR_TIMER, %edi
  lea timer_handler(%rip), %rsi
  call set_handler
  mov $VECTOR_SPURIOUS, %edi
  lea spurious_handler(%rip), %rsi
  call set_handler
  mov $VECTOR_SYSTEM_CALL, %edi
  lea interrupt_system_call_entry(%rip), %rsi
  mov $0xee, %edx                      # as the others, but ring 3 may use it
  xor %ecx, %ecx
  call set_gate
  mov $VECTOR_SYSTEM_CALL, %edi
  lea system_call(%rip), %rsi
  call set_handler
  lea syscall_entry(%rip), %rdi
  call set_system_call_entry
  call find_features

  mark 1
  call check_registers
  call check_exceptions
  mark 2
  call check_paging
  call check_strings
  call check_modified_code
  call check_double_fault
  mark 3
  call set_up_interrupts
  call run_two_tasks
  mark 4
  call run_rogues
  call check_ticks

place wipe_traces                      # of time and of interleaving
  lea interleaving_begin(%rip), %rdi
  mov $interleaving_end, %ecx
  sub %edi, %ecx
  xor %eax, %eax
  rep stosb
  lea boot_stack(%rip), %rdi           # what calls and interrupts left below the stack pointer
  mov %rsp, %rcx
  sub %rdi, %rcx
  rep stosb
  xor %eax, %eax
  mov %rax, %cr2
  xor %ebx, %ebx
  xor %ebp, %ebp
  xor %r8d, %r8d
  xor %r9d, %r9d
  xor %r10d, %r10d
  xor %r11d, %r11d
  xor %r12d, %r12d
  xor %r13d, %r13d
  xor %r14d, %r14d
  xor %r15d, %r15d

  mark 5
  cmpl $0, failures
  jne 1f
  print "kernel: all "
  mov checks(%rip), %edi
  call print_decimal
  print " checks passed\n"
  exit 0
1:
  print "kernel: FAILED "
  mov failures(%rip), %edi
  call print_decimal
  print " of "
  mov checks(%rip), %edi
  call print_decimal
  print " checks\n"
  exit 1

// report_check(edi passed, rsi name)
function report_check
  push %rsi
  incl checks
  test %edi, %edi
  jnz 1f
  incl failures
  print "FAIL "
  jmp 2f
1:
  print "ok   "
2:
  pop %rdi
  call print_string
  mov $'\n', %edi
  jmp print_character

// caught_as_expected(edi vector, esi error or ANY_ERROR, rdx CR2, rcx RIP, 0 for any): AL is 1 if just that was caught, once
function caught_as_expected
  movq $0, expected_resume
  movq $0, fault_fix
  xor %eax, %eax
  cmpl $1, caught_count
  jne 1f
  cmp %rdi, caught_vector
  jne 1f
  cmp $ANY_ERROR, %esi
  je 2f
  cmp %rsi, caught_error
  jne 1f
2:
  cmp %rdx, caught_address
  jne 1f
  inc %eax
  test %rcx, %rcx
  jz 1f
  cmp %rcx, caught_rip
  sete %al
1:
  ret

// Fills `features` from CPUID: kept as flags of our own, so that the rest of the kernel asks one place.
function find_features
  push %rbx
  xor %r8d, %r8d
  xor %eax, %eax
  cpuid
  cmp $7, %eax
  jb 1f
  mov $7, %eax
  xor %ecx, %ecx
  cpuid
  bt $7, %ebx
  jnc 2f
  or $HAS_SMEP, %r8d
2:
  bt $20, %ebx
  jnc 1f
  or $HAS_SMAP, %r8d
1:
  mov $1, %eax
  cpuid
  bt $17, %ecx
  jnc 3f
  or $HAS_PCID, %r8d
3:
  mov $0x80000001, %eax
  cpuid
  bt $26, %edx
  jnc 4f
  or $HAS_1GB_PAGES, %r8d
4:
  mov %r8d, features(%rip)
  pop %rbx
  ret

// ---- Ring 0: registers and exceptions -----------------------------------------------------------------------------

function check_registers
  push %rbx
  mov $MSR_EFER, %ecx
  rdmsr
  and $(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE), %eax
  cmp $(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE), %eax
  sete %al
  report "EFER as boot left it"

  mov $MSR_EFER, %ecx
  rdmsr
  and $~EFER_SCE, %eax
  wrmsr
  faults "SYSCALL without EFER.SCE", VECTOR_UD, 0, 0, 7b, syscall
  mov $MSR_EFER, %ecx
  rdmsr
  or $EFER_SCE, %eax
  wrmsr

  mov $MSR_FS_BASE, %ecx
  lea fs_block(%rip), %rax
  xor %edx, %edx
  wrmsr
  mov %fs:8, %rbx
  rdmsr
  lea fs_block(%rip), %rcx
  cmp %rcx, %rax
  sete %al
  cmp fs_block + 8(%rip), %rbx
  sete %cl
  and %cl, %al
  report "FS base through its MSR"

  rdtsc
  shl $32, %rdx
  or %rax, %rdx
  mov %rdx, %rbx
  mov $100, %ecx
1:
  loop 1b
  rdtsc
  shl $32, %rdx
  or %rax, %rdx
  cmp %rdx, %rbx
  setb %al
  report "RDTSC goes forward"
  pop %rbx
  ret

function check_exceptions
  push %rbx
  xor %edx, %edx
  xor %ecx, %ecx
  mov $1, %eax
place the_divide_by_zero
  faults "divide by zero", VECTOR_DE, 0, 0, 7b, div %ecx
  mov $1, %edx
  xor %eax, %eax
  mov $1, %ecx
  faults "quotient too large", VECTOR_DE, 0, 0, 7b, div %ecx
place the_undefined_instruction
  faults "undefined instruction", VECTOR_UD, 0, 0, 7b, ud2
place the_breakpoint                   # a trap: RIP is behind it
  faults "breakpoint", VECTOR_BP, 0, 0, 8b, int3
  movabs $NOT_CANONICAL, %rbx
  faults "address that is not canonical", VECTOR_GP, 0, 0, 7b, mov (%rbx), %rax
  mov $0x58, %eax
  faults "selector beyond the GDT", VECTOR_GP, 0x58, 0, 7b, mov %eax, %ds
  faults_as VECTOR_GP, ANY_ERROR, 0, 7b, int $0x70
  mov caught_error(%rip), %ecx         # the vector, and bit 1 for the IDT (QEMU has the vector one bit too high)
  and $7, %ecx
  cmp $2, %ecx
  sete %cl
  and %cl, %al
  report "interrupt without a gate"
  pop %rbx
  ret

// A stack that is not there: the first fault cannot be delivered, the double fault gets IST1's stack.
function check_double_fault
  movq $1f, expected_resume
  mov %rsp, expected_stack
  movl $0, caught_count
  movabs $UNMAPPED, %rsp
place the_double_fault
  push %rax
1:
  mov $VECTOR_DF, %edi
  xor %esi, %esi
  xor %edx, %edx
  xor %ecx, %ecx
  call caught_as_expected
  mov caught_frame(%rip), %rcx
  cmp $fault_stack_top - FRAME_SIZE, %rcx
  sete %cl
  and %cl, %al
  report "double fault on the stack that IST names"
  ret

// ---- Ring 0: paging -----------------------------------------------------------------------------------------------

// test_page(edi page number, rsi entry) maps a page of TEST_AREA; RAX: its entry, RBX: its address.
function test_page
  movabs $TEST_AREA, %rbx
  shl $12, %edi
  add %rdi, %rbx
  mov %rsi, %rdx
  mov %rbx, %rsi
  mov $boot_pml4, %edi
  lea kernel_pool(%rip), %rcx
  call map_page
  invlpg (%rbx)
  ret

function check_paging
  push %rbx
  push %r12
  push %r13
  lea kernel_pool(%rip), %rdi
  call allocate_frame
  mov %rax, %r12
  lea kernel_pool(%rip), %rdi
  call allocate_frame
  mov %rax, %r13
  movq $0x1111, (%r12)
  movq $0x2222, (%r13)

  movabs $UNMAPPED, %rbx
place the_absent_read
  faults "read of an unmapped page", VECTOR_PF, 0, UNMAPPED, 7b, mov (%rbx), %rax
  faults "write to an unmapped page", VECTOR_PF, FAULT_W, UNMAPPED, 7b, mov %rax, (%rbx)

  xor %edi, %edi
  lea PTE_P(%r12), %rsi
  call test_page
  faults "write to a read-only page", VECTOR_PF, FAULT_P | FAULT_W, TEST_AREA, 7b, movq $0x3333, (%rbx)
  mov (%rbx), %rax
  cmp $0x1111, %rax
  sete %al
  report "it is unchanged"
  mov %cr0, %rax
  and $~CR0_WP, %rax
  mov %rax, %cr0
place the_write_without_wp
  movq $0x1112, (%rbx)
  mov %cr0, %rax
  or $CR0_WP, %rax
  mov %rax, %cr0
  cmpq $0x1112, (%r12)
  sete %al
  report "without CR0.WP ring 0 writes it"
  faults "with CR0.WP again it does not", VECTOR_PF, FAULT_P | FAULT_W, TEST_AREA, 7b, movq $0x3333, (%rbx)

  mov $1, %edi
  movabs $PTE_NX, %rsi
  lea PTE_P | PTE_W(%r12, %rsi), %rsi
  call test_page
place the_no_execute_fetch
  faults "fetch from a no-execute page", VECTOR_PF, FAULT_P | FAULT_I, TEST_AREA + 0x1000, TEST_AREA + 0x1000, call *%rbx

  movq $boot_pdpt + (PTE_P | PTE_W | PTE_PS), boot_pml4 + 2 * 8
  movabs $BAD_PML4_AREA, %rbx
  faults_as VECTOR_PF, ANY_ERROR, BAD_PML4_AREA, 7b, mov (%rbx), %rax
  testb $FAULT_RSVD, caught_error      # and P, as the entry is present (QEMU says that it is not)
  setnz %cl
  and %cl, %al
  report "reserved bit in a PML4 entry"
  movq $0, boot_pml4 + 2 * 8

  call check_user_pages

  mov $3, %edi
  lea PTE_P | PTE_W(%r12), %rsi
  call test_page
  mov (%rbx), %rcx
  mov (%rax), %rcx
  and $(PTE_A | PTE_D), %ecx
  cmp $PTE_A, %ecx
  sete %cl
  movq $0x1113, (%rbx)
  mov (%rax), %rdx
  and $(PTE_A | PTE_D), %edx
  cmp $(PTE_A | PTE_D), %edx
  sete %al
  and %cl, %al
  report "a read sets the A bit, a write the D bit"

  mov $4, %edi
  lea PTE_P | PTE_W(%r12), %rsi
  call test_page
  movq $0x4444, (%rbx)
  mov -0x1000(%rbx), %rax              # the page before it has the same frame
  cmp $0x4444, %rax
  sete %al
  cmpq $0x4444, (%r12)
  sete %cl
  and %cl, %al
  report "a synonym sees the write"

  mov $5, %edi
  lea PTE_P | PTE_W(%r12), %rsi
  call test_page
  mov (%rbx), %rcx
  lea PTE_P | PTE_W(%r13), %rdx
  mov %rdx, (%rax)
place the_kernel_invlpg
  invlpg (%rbx)
  cmpq $0x2222, (%rbx)
  sete %al
  report "after INVLPG the new page is seen"

  movabs $TEST_2MB_PAGE, %rsi          # a superpage over the second 2 MB of RAM, where no image reaches
  mov $boot_pml4, %edi
  lea kernel_pool(%rip), %rcx
  call large_page_entry
  movq $0x200000 | PTE_P | PTE_W | PTE_PS, (%rax)
  movabs $TEST_2MB_PAGE, %rbx
place the_kernel_superpage_store
  movq $0x5555, 0x12340(%rbx)
  cmpq $0x5555, 0x212340
  sete %al
  report "2 MB page"
  movq $0, 0x212340

  mov $1, %eax
  testl $HAS_1GB_PAGES, features
  jz 1f
  lea kernel_pool(%rip), %rdi
  call allocate_frame
  movq $PTE_P | PTE_PS, (%rax)
  or $(PTE_P | PTE_W), %rax
  mov %rax, boot_pml4 + 3 * 8
  movabs $TEST_1GB_PAGE, %rbx
  mov (%rbx, %r12), %rax
  cmp %rax, (%r12)
  sete %al
1:
  report "1 GB page, if reported"

  mov $7, %edi                         # pages 6 and 7: a pair of frames in the wrong order
  lea PTE_P | PTE_W(%r12), %rsi
  call test_page
  mov $6, %edi
  lea PTE_P | PTE_W(%r13), %rsi
  call test_page
  movabs $0x8877665544332211, %rax
place the_page_crossing_store
  mov %rax, 0xffd(%rbx)
  mov 0xffd(%rbx), %rcx
  cmp %rcx, %rax
  sete %al
  movl $0, (%r12)
  mov 0xffd(%rbx), %rcx
  shr $56, %rcx
  cmp $0x88, %rcx                      # the byte behind the four that were wiped
  sete %cl
  and %cl, %al
  report "a store across two pages"

  mov $9, %edi
  lea PTE_P | PTE_W(%r13), %rsi
  call test_page
  movq $0, 0xff8(%rbx)
  mov $-1, %rax
  faults "a store that crosses into an unmapped page", VECTOR_PF, FAULT_W, TEST_AREA + 0xa000, 7b, mov %rax, 0xffc(%rbx)
  cmpq $0, 0xff8(%rbx)
  sete %al
  report "it has written nothing"
  pop %r13
  pop %r12
  pop %rbx
  ret

// What SMEP and SMAP keep ring 0 from. R12: a frame. They stay on from here.
function check_user_pages
  push %rbx
  push %r14
  mov $2, %edi
  lea PTE_P | PTE_W | PTE_U(%r12), %rsi
  call test_page
  mov (%r12), %r14
  movb $0xc3, (%r12)                   # RET
  call *%rbx                           # without SMEP ring 0 may
  mov $1, %al
  report "without SMEP ring 0 runs a user page"
  testl $HAS_SMEP, features
  mov $1, %al
  jz 1f
  mov %cr4, %rax
  or $CR4_SMEP, %rax
  mov %rax, %cr4
place the_smep_fetch
  faults_as VECTOR_PF, FAULT_P | FAULT_I, TEST_AREA + 0x2000, TEST_AREA + 0x2000, call *%rbx
1:
  report "SMEP, if reported"
  testl $HAS_SMAP, features
  mov $1, %al
  jz 2f
  mov %cr4, %rax
  or $CR4_SMAP, %rax
  mov %rax, %cr4
place the_smap_read
  faults_as VECTOR_PF, FAULT_P, TEST_AREA + 0x2000, 7b, mov (%rbx), %rcx
2:
  report "SMAP, if reported"
  call open_user_memory
  mov (%rbx), %ecx
  call close_user_memory
  cmp $0xc3, %cl
  sete %al
  report "with AC set ring 0 reads a user page"
  mov %r14, (%r12)
  pop %r14
  pop %rbx
  ret

// ---- Ring 0: repeated instructions, modified code -----------------------------------------------------------------

// REP MOVSB that runs into an unmapped page: the handler sees how far it got, maps the page, and it goes on.
function check_strings
  push %rbx
  push %r12
  lea kernel_pool(%rip), %rdi
  call allocate_frame
  mov %rax, %r12
  mov $16, %edi
  lea PTE_P | PTE_W(%r12), %rsi
  call test_page
  lea kernel_pool(%rip), %rdi
  call allocate_frame
  mov %rax, string_frame(%rip)
  movq $map_string_page, fault_fix
  movl $0, caught_count
  lea 0xf9c(%rbx), %rdi                # 100 bytes before the end of the mapped page
  lea vector_stubs(%rip), %rsi         # any 300 bytes that are not all the same
  mov $300, %ecx
place the_rep_movs
  rep movsb
place after_rep_movs
  test %ecx, %ecx
  sete %al
  lea 0x1000 + 200(%rbx), %rcx
  cmp %rcx, %rdi
  sete %cl
  and %cl, %al
  cmpq $200, caught_rcx
  sete %cl
  and %cl, %al
  mov %eax, %r12d
  mov $VECTOR_PF, %edi
  mov $FAULT_W, %esi
  movabs $TEST_AREA + 0x11000, %rdx
  mov $the_rep_movs, %ecx
  call caught_as_expected
  and %r12b, %al
  report "REP MOVS faults in the middle and goes on"
  lea 0xf9c(%rbx), %rdi
  lea vector_stubs(%rip), %rsi
  mov $300, %ecx
  repe cmpsb
  sete %al
  report "REP MOVS has copied across the page boundary"
  pop %r12
  pop %rbx
  ret

function map_string_page
  push %rbx
  mov $17, %edi
  mov string_frame(%rip), %rsi
  or $(PTE_P | PTE_W), %rsi
  call test_page
  pop %rbx
  ret

function check_modified_code
  lea code_buffer(%rip), %rdi
  movb $0xb8, (%rdi)                   # MOV $imm32, %eax; RET
  movl $0x1234, 1(%rdi)
  movb $0xc3, 5(%rdi)
  call *%rdi
  mov %eax, %ecx
place the_patch
  movl $0x5678, 1(%rdi)
  call *%rdi
  cmp $0x1234, %ecx
  sete %cl
  cmp $0x5678, %eax
  sete %al
  and %cl, %al
  report "modified code runs as modified"

place the_patch_ahead                  # the same straight line of code: the store hits the instruction behind it
  movl $0x9abc, patched_instruction + 1(%rip)
patched_instruction:
  mov $0x1111, %eax
  cmp $0x9abc, %eax
  sete %al
  report "code that modifies itself just ahead"
  ret

// ---- Tasks --------------------------------------------------------------------------------------------------------

.include "kernel-memory.inc"
.include "kernel-tasks.inc"
.include "kernel-user.inc"

.data
.balign 8
fs_block:
  .quad 0, 0x0123456789abcdef
place kernel_pool
  .quad 0x1000000

.bss
.balign 8
checks:
  .skip 4
failures:
  .skip 4
caught_count:
  .skip 4
place expected_resume                  # where an expected exception of ring 0 goes on; 0 when none is expected
  .skip 8
expected_stack:
  .skip 8
place fault_fix                        # or a function that mends the cause, after which the instruction runs again
  .skip 8
caught_vector:
  .skip 8
caught_error:
  .skip 8
caught_address:
  .skip 8
caught_rip:
  .skip 8
caught_rcx:
  .skip 8
caught_frame:
  .skip 8
string_frame:
  .skip 8
code_buffer:
  .skip 16
