// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guest of the lesson on SEESAW's lookup cases: one access for each row of the paper's Table I, then the superpage is
// splintered into 4 KB pages, and then promoted to a superpage again.
//
//   2 GB            PD[0]          the superpage, at first a 2 MB page; later 512 small pages of the same frames
//   2 GB + 2 MB     PD[1] PT[0]    a base page; bit 12 of its frame is 1 where the virtual address has 0
//   2 GB + 32 MB    PD[16]         the rival: 16 regions further, so in a table of 16 entries it has the same index
//
// Nothing is written to these frames before the loads below: they are zero, and in no cache.
//
// Marks: 1 before the first load · 2 before the base page · 3 before the rival · 4 before the store
//        5 before the splintering · 6 before the new line · 7 before the promotion · 8 after it

.include "guest.inc"

.set SUPERPAGE, 0x80000000
.set BASE_PAGE, 0x80200000
.set RIVAL, 0x82000000
.set SUPERPAGE_FRAME, 0x6000000
.set RIVAL_FRAME, 0x6200000
.set BASE_FRAME, 0x7001000
.set TABLE, PTE_P | PTE_W | PTE_A
.set SMALL, PTE_P | PTE_W | PTE_A | PTE_D
.set LARGE, PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS
.set FIRST_VALUE, 0x5ee
.set SECOND_VALUE, 0x5a3
.set PAGES, 512

.set FIRST_LINE, 0x1000                  # bit 12 is 1: the second partition
.set NEXT_LINE, 0x1040
.set NEW_LINE, 0x2080                    # bit 12 is 0: the first partition

.text
function kernel_main
place build_mappings
  movq $cases_pd + TABLE, boot_pdpt + 2 * 8
  movq $SUPERPAGE_FRAME + LARGE, cases_pd
  movq $base_pt + TABLE, cases_pd + 8
  movq $RIVAL_FRAME + LARGE, cases_pd + 16 * 8
  movq $BASE_FRAME + SMALL, base_pt
place build_small_pages                  # the table that will splinter the superpage: the same frames, in 4 KB pieces
  mov $SUPERPAGE_FRAME + SMALL, %eax
  xor %ecx, %ecx
1:
  mov %rax, small_pt(, %rcx, 8)
  add $0x1000, %eax
  inc %ecx
  cmp $PAGES, %ecx
  jb 1b
  mov $SUPERPAGE, %ebx
  mov $BASE_PAGE, %r12d
  mov $RIVAL, %r13d
  mov $FIRST_VALUE, %r14d
  mov $SECOND_VALUE, %r15d

// ---- The rows of Table I ------------------------------------------------------------------------------------------
  mark 1
  nop
place the_first_load
  mov FIRST_LINE(%rbx), %rax
place the_hit_load
  mov FIRST_LINE(%rbx), %rax
place the_miss_load
  mov NEXT_LINE(%rbx), %rax
place after_miss_load
  mark 2
  nop
place the_base_load
  mov (%r12), %rax
place the_second_base_load
  mov (%r12), %rax
place after_base_load
  mark 3
  nop
place the_rival_load
  mov (%r13), %rax
place after_rival_load
  nop
place the_conflict_load
  mov FIRST_LINE(%rbx), %rax
place the_second_conflict_load
  mov FIRST_LINE(%rbx), %rax
place after_conflict

// ---- Splintering --------------------------------------------------------------------------------------------------
  invlpg (%rbx)                          # the translation comes back, and with it the table's entry
  mark 4
  mov FIRST_LINE(%rbx), %rax
place the_store
  mov %r14, FIRST_LINE(%rbx)
place after_store
  mark 5
place the_splintering
  movq $small_pt + TABLE, cases_pd
place the_invalidation
  invlpg (%rbx)
place after_invalidation
  nop
place the_splintered_load
  mov FIRST_LINE(%rbx), %rax
place after_splintered_load
  cmp $FIRST_VALUE, %rax
  jne failed
  mark 6
  nop
place the_new_line_store
  mov %r15, NEW_LINE(%rbx)               # in no cache: a miss, so insertion decides where it goes
place after_new_line_store

// ---- Promotion ----------------------------------------------------------------------------------------------------
  mark 7
place the_promotion
  movq $SUPERPAGE_FRAME + LARGE, cases_pd
place invalidate_small_pages             # every small page that may be in a TLB
  mov %rbx, %rdx
  mov $PAGES, %ecx
2:
  invlpg (%rdx)
  add $0x1000, %rdx
  dec %ecx
  jnz 2b
  mark 8
  nop
place the_promoted_load
  mov FIRST_LINE(%rbx), %rax
place after_promoted_load
  cmp $FIRST_VALUE, %rax
  jne failed
place the_promoted_hit
  mov FIRST_LINE(%rbx), %rax
place after_promoted_hit
  nop
place the_new_line_load
  mov NEW_LINE(%rbx), %rax
place after_new_line_load
  cmp $SECOND_VALUE, %rax
  jne failed
  print "seesaw-cases: splintered and promoted, and every value is where it was\n"
  exit 0

failed:
  print "seesaw-cases: FAIL\n"
  exit 1

.bss
.balign 4096
place cases_pd
  .skip 4096
place base_pt
  .skip 4096
place small_pt
  .skip 4096
