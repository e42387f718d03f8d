// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guest of the lesson on privilege levels: ring 0 drops to ring 3 with IRETQ; ring 3 asks ring 0 for a line of text with
// SYSCALL and gets back with SYSRET; then it tries CLI, which only ring 0 may, and lands in the #GP handler.
//
// Marks: 1 before IRETQ to ring 3 · 2 in the system call · 3 before SYSRET · 4 in the #GP handler

.include "guest.inc"

.set USER_STACK, 0x41000000          # its page ends here
.set CALL_PRINT, 1

.text
function kernel_main
  // Ring 3's code, and one page of stack, become user pages: the U bit must be set at every level of the walk.
  movq $user_pd + (PTE_P | PTE_W | PTE_U), boot_pdpt + 8
  orq $PTE_U, boot_pml4
  movq $user_pt + (PTE_P | PTE_W | PTE_U), user_pd
  movq $user_stack_pt + (PTE_P | PTE_W | PTE_U), user_pd + 7 * 8
  lea user_load_start(%rip), %rax
  or $(PTE_P | PTE_U), %rax
  mov %rax, user_pt
  movabs $PTE_NX, %rax
  lea user_stack(%rip), %rcx
  lea PTE_P | PTE_W | PTE_U(%rcx), %rcx
  or %rcx, %rax
  mov %rax, user_stack_pt + 511 * 8

  mov $VECTOR_GP, %edi
  lea gp_handler(%rip), %rsi
  call set_handler

place set_up_system_calls
  lea syscall_entry(%rip), %rdi
  call set_system_call_entry

  print "ring 0: going to ring 3\n"
  mark 1
place enter_user_mode
  push $SELECTOR_USER_DATA
  push $USER_STACK
  push $2                              # RFLAGS: interrupts stay off, IOPL 0
  push $SELECTOR_USER_CODE
  push $user_main
place the_iretq
  iretq

// SYSCALL arrives here: RCX holds the return address, R11 the flags, and RSP is still ring 3's.
// In: EAX the number, RDI the text. The text lies in a user page; this kernel does not turn SMAP on.
function syscall_entry
  mov %rsp, saved_user_stack(%rip)
  lea boot_stack_top(%rip), %rsp
  push %rcx
  push %r11
  mark 2
  call print_string
  mark 3
  pop %r11
  pop %rcx
  mov saved_user_stack(%rip), %rsp
place the_sysret
  sysretq

// Ring 3 tried what it may not. It cannot be resumed: the machine ends.
function gp_handler
  mov %rdi, %rbx
  mark 4
  print "ring 0: #GP, error code "
  mov FRAME_ERROR(%rbx), %rdi
  call print_decimal
  print ", from ring "
  mov FRAME_CS(%rbx), %rdi
  and $3, %edi
  call print_decimal
  lea the_cli(%rip), %rax
  cmp %rax, FRAME_RIP(%rbx)
  jne 1f
  print ", at the CLI\n"
  exit 0
1:
  print ", somewhere else\n"
  exit 1

// ---- Ring 3 -------------------------------------------------------------------------------------------------------
.section .user, "ax"
place user_main
  mov $CALL_PRINT, %eax
  lea user_text(%rip), %rdi
place the_syscall
  syscall
place after_syscall
  push %rax                            # shows that ring 3's stack is its own again
  pop %rax
place the_cli
  cli
place after_cli                        # never reached
  jmp after_cli
user_text:
  .asciz "ring 3: hello through SYSCALL\n"

.bss
.balign 4096
place user_pd
  .skip 4096
place user_pt
  .skip 4096
place user_stack_pt
  .skip 4096
place user_stack
  .skip 4096
place saved_user_stack
  .skip 8
