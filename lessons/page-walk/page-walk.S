// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guest of the lesson on page walks. Two virtual pages lie far from everything: no table of their paths is used by
// anything else, and each table lies in a 2 MB region of guest-physical memory of its own, so that every reference of the
// first access is a new one in both stages.
//
//   cold page    PML4[5] PDPT[17] PD[33] PT[65], 4 KB     the_cold_load, the_hot_load, the_stale_load, the_fresh_load
//   superpage    PML4[6] PDPT[18] PD[34], 2 MB            the_superpage_load
//
// Then the cold page's entry is changed without INVLPG: a TLB that still holds the old translation serves the old frame.
// Whether it does is the machine's own affair (another TLB may have dropped it), so nothing printed or kept depends on
// it. After INVLPG the new frame must be seen, and that is checked.
//
// Marks: 1 before the cold load · 2 before the superpage load · 3 before the hot load · 4 before the entry is changed
//        5 before the stale load · 6 before INVLPG · 7 before the fresh load

.include "guest.inc"

.set COLD_PAGE, 5 << 39 | 17 << 30 | 33 << 21 | 65 << 12
.set COLD_ADDRESS, COLD_PAGE + 0x128
.set SUPERPAGE, 6 << 39 | 18 << 30 | 34 << 21
.set SUPERPAGE_ADDRESS, SUPERPAGE + 0x4128

// Guest-physical memory.
.set COLD_PDPT, 0x2001000
.set COLD_PD, 0x2802000
.set COLD_PT, 0x3003000
.set OLD_FRAME, 0x3804000
.set NEW_FRAME, 0x4005000
.set SUPERPAGE_PDPT, 0x4806000
.set SUPERPAGE_PD, 0x5007000
.set SUPERPAGE_FRAME, 0x6000000

.set TABLE, PTE_P | PTE_W
.set OLD_VALUE, 0x01d
.set NEW_VALUE, 0x2e3
.set SUPERPAGE_VALUE, 0x5e5

.text
function kernel_main
place build_cold_path
  movq $COLD_PDPT | TABLE, boot_pml4 + 5 * 8
  movq $COLD_PD | TABLE, COLD_PDPT + 17 * 8
  movq $COLD_PT | TABLE, COLD_PD + 33 * 8
  movq $OLD_FRAME | TABLE, COLD_PT + 65 * 8
  movq $OLD_VALUE, OLD_FRAME + 0x128
  movq $NEW_VALUE, NEW_FRAME + 0x128
place build_superpage_path
  movq $SUPERPAGE_PDPT | TABLE, boot_pml4 + 6 * 8
  movq $SUPERPAGE_PD | TABLE, SUPERPAGE_PDPT + 18 * 8
  movq $SUPERPAGE_FRAME | TABLE | PTE_PS, SUPERPAGE_PD + 34 * 8
  movq $SUPERPAGE_VALUE, SUPERPAGE_FRAME + 0x4128

  movabs $COLD_ADDRESS, %rbx
  movabs $SUPERPAGE_ADDRESS, %r12
place forget_translations
  mov %cr3, %rax
  mov %rax, %cr3

  mark 1
  nop                                  # brings this code's own translation back, so that the load's walk stands alone
place the_cold_load
  mov (%rbx), %rax
place after_cold_load
  mov %rax, %r13

  mark 2
  nop
place the_superpage_load
  mov (%r12), %rax
place after_superpage_load
  mov %rax, %r14

  mark 3
  nop
place the_hot_load
  mov (%rbx), %rax
place after_hot_load
  cmp %rax, %r13
  jne failed
  cmp $OLD_VALUE, %r13
  jne failed
  cmp $SUPERPAGE_VALUE, %r14
  jne failed

  mark 4
place the_entry_change
  movq $NEW_FRAME | TABLE, COLD_PT + 65 * 8
  mark 5
  nop
place the_stale_load
  mov (%rbx), %rax
place after_stale_load                 # RAX: the old value from a stale TLB entry, or the new one
  nop
  xor %eax, %eax

  mark 6
place the_invlpg
  invlpg (%rbx)
  mark 7
  nop
place the_fresh_load
  mov (%rbx), %rax
place after_fresh_load
  cmp $NEW_VALUE, %rax
  jne failed
  print "page-walk: after INVLPG the new page is seen\n"
  exit 0

failed:
  print "page-walk: FAIL\n"
  exit 1
