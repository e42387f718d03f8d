// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guest of the lesson on PIPT, VIVT and VIPT: a frame with two names (a synonym), and a name that means two frames, one
// in each of two address spaces (a homonym).
//
//   2 GB            PD[0] PT[0]    shared_frame     the first name      address bits 13:12 are 0
//   2 GB + 12 KB    PD[0] PT[3]    shared_frame     the second name     address bits 13:12 are 3
//   2 GB + 64 KB    PD[0] PT[16]   frame_one in the first address space, frame_two in the second
//
// The frames belong to the image: the loader fills them, and no cache has seen them under a name of their own before the
// loads below. What a frame holds is checked after each load, so on any correct machine the guest ends well. The data lie
// 576 bytes into each frame, in a set (9) that no page-table entry of ours shares; accessed and dirty bits are set before,
// so that no walk has to.
//
// Marks: 1 before the first load · 2 before the load by the other name · 3 before the store · 4 before the load after it
//        5 before the loop · 6 after it · 7 before the loads of the homonym

.include "guest.inc"

.set FIRST_NAME, 0x80000000
.set SECOND_NAME, 0x80003000
.set HOMONYM, 0x80010000
.set TABLE, PTE_P | PTE_W | PTE_A
.set PAGE, PTE_P | PTE_W | PTE_A | PTE_D
.set OFFSET, 0x240
.set OLD_VALUE, 0x01d
.set NEW_VALUE, 0x2e3
.set VALUE_ONE, 0x111
.set VALUE_TWO, 0x222
.set LINE, 64
.set PASSES, 8

.text
function kernel_main
place build_mappings
  movq $alias_pd + TABLE, boot_pdpt + 2 * 8
  movq $alias_pt + TABLE, alias_pd
  movq $shared_frame + PAGE, alias_pt
  movq $shared_frame + PAGE, alias_pt + 3 * 8
  movq $frame_one + PAGE, alias_pt + 16 * 8

place build_second_address_space         # the same but for one page
  mov boot_pml4, %rax
  and $0xfff, %eax
  add $other_pdpt, %rax
  mov %rax, other_pml4
  xor %ecx, %ecx
1:
  mov boot_pdpt(, %rcx, 8), %rax
  mov %rax, other_pdpt(, %rcx, 8)
  inc %ecx
  cmp $4, %ecx
  jb 1b
  movq $other_pd + TABLE, other_pdpt + 2 * 8
  movq $other_pt + TABLE, other_pd
  movq $frame_two + PAGE, other_pt + 16 * 8

  mov $FIRST_NAME + OFFSET, %ebx
  mov $SECOND_NAME + OFFSET, %r12d
  mov $HOMONYM + OFFSET, %r13d
  mov $other_pml4, %r14d
  mov $NEW_VALUE, %r15d

  mark 1
  nop
place the_first_load
  mov (%rbx), %rax
place after_first_load
  cmp $OLD_VALUE, %rax
  jne failed
  mark 2
  nop
place the_second_load
  mov (%r12), %rax
place after_second_load
  cmp $OLD_VALUE, %rax
  jne failed

  mark 3
  nop
place the_store
  mov %r15, (%rbx)
place after_store
  mark 4
  nop
place the_load_after_store
  mov (%r12), %rax
place after_load_after_store
  cmp $NEW_VALUE, %rax
  jne failed

  mov $walk_area, %ecx                   # once, so that the loop below finds its lines in the cache
2:
  add (%rcx), %rax
  add $LINE, %rcx
  cmp $walk_area_end, %ecx
  jb 2b
  mark 5
  mov $PASSES, %edx
place loop_pass
  mov $walk_area, %ecx
place the_loop_load
  add (%rcx), %rax
  add $LINE, %rcx
  cmp $walk_area_end, %ecx
  jb the_loop_load
  dec %edx
  jnz loop_pass
  mark 6

  mark 7
  nop
place the_load_in_space_one
  mov (%r13), %rax
place after_load_in_space_one
  cmp $VALUE_ONE, %rax
  jne failed
place the_switch
  mov %r14, %cr3
  nop
place the_load_in_space_two
  mov (%r13), %rax
place after_load_in_space_two
  cmp $VALUE_TWO, %rax
  jne failed
  print "synonym: every load gave what its frame holds\n"
  exit 0

failed:
  print "synonym: FAIL\n"
  exit 1

.data
.balign 16384
  .skip 8192                             # bits 13:12 of the shared frame's address are 2: neither name's
place shared_frame
  .skip OFFSET
  .quad OLD_VALUE
  .balign 4096
place frame_one
  .skip OFFSET
  .quad VALUE_ONE
  .balign 4096
place frame_two
  .skip OFFSET
  .quad VALUE_TWO
  .balign 4096

.bss
.balign 4096
place alias_pd
  .skip 4096
place alias_pt
  .skip 4096
place other_pml4
  .skip 4096
place other_pdpt
  .skip 4096
place other_pd
  .skip 4096
place other_pt
  .skip 4096
place walk_area
  .skip 8192
place walk_area_end
