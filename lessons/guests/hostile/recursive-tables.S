// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: page tables that map themselves (PML4 entry 511 names the PML4). The guest reads and writes its own tables
// through that window, at every depth, which is legal; then it overwrites the PML4 with its own image through the window
// and forgets all translations: the next fetch walks through rubbish, and so does every attempt to report it.

.include "guest.inc"

.set WINDOW_PML4, -1 << 39 | 511 << 30 | 511 << 21 | 511 << 12
.set WINDOW_PT, -1 << 39             # the page table of address 0

.text
function kernel_main
  lea boot_pml4 + (PTE_P | PTE_W)(%rip), %rax
  mov %rax, boot_pml4 + 511 * 8
  movabs $WINDOW_PML4, %rbx
place the_window_read
  mov 511 * 8(%rbx), %rcx
  and $~(PTE_A | PTE_D), %rcx
  cmp %rax, %rcx
  jne failed
  movabs $WINDOW_PT, %rbx
  mov 0x1ff * 8(%rbx), %rcx            # the last page of the first 2 MB
  and $~0xfff, %rcx
  cmp $0x1ff000, %rcx
  jne failed
place the_unmapping                    # and take that page away, through the window
  movq $0, 0x1ff * 8(%rbx)
  invlpg 0x1ff000
  cmpq $0, boot_pt + 0x1ff * 8
  jne failed
  print "recursive-tables: the window works\n"
  movabs $WINDOW_PML4, %rdi
  mov %rdi, %rbx
  lea garbage(%rip), %rsi
  mov $512, %ecx
place the_corruption
  rep movsq
place the_flush
  mov %cr3, %rax
  mov %rax, %cr3
  jmp .

failed:
  print "recursive-tables: FAIL\n"
  exit 1

.data
.balign 4096
garbage:
  .set entry, 0
  .rept 512
  .quad 0x00000badbad00000 + entry * 0x1000 + (entry & 0xfe)     # present never; all other low flags in turn
  .set entry, entry + 1
  .endr
