// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guest of the lesson on SEESAW: the same loop (one load a line, 32 KB, several passes) runs over a 2 MB page and over
// eight 4 KB pages whose frames lie in another order than the pages. In a superpage the bits of the address above the
// 4 KB offset are the same virtually and physically, so a SEESAW cache that knows the page's size probes one partition;
// over 4 KB pages it probes all of them, as plain VIPT always does.
//
//   2 GB          PD[0], 2 MB page
//   2 GB + 2 MB   PD[1] PT[0..7], 4 KB pages; page i has frame i * 5 + 3 modulo 8
//
// Marks: 1 before the first superpage load · 2 before the superpage loop · 3 before the first small-page load
//        4 before the small-page loop · 5 before the stores · 6 at the end

.include "guest.inc"

.set SUPERPAGE, 0x80000000
.set SMALL_PAGES, 0x80200000
.set SUPERPAGE_FRAME, 0x6000000
.set SMALL_FRAMES, 0x7000000
.set AREA, 32 * 1024
.set LINE, 64
.set PASSES, 4

.text
function kernel_main
place build_mappings
  movq $seesaw_pd, %rax
  or $(PTE_P | PTE_W), %rax
  mov %rax, boot_pdpt + 2 * 8
  movq $SUPERPAGE_FRAME | PTE_P | PTE_W | PTE_PS, seesaw_pd
  lea seesaw_pt(%rip), %rax
  or $(PTE_P | PTE_W), %rax
  mov %rax, seesaw_pd + 8
  xor %ecx, %ecx
1:
  lea 3(%rcx, %rcx, 4), %eax
  and $7, %eax
  shl $12, %eax
  add $SMALL_FRAMES | PTE_P | PTE_W, %eax
  mov %rax, seesaw_pt(, %rcx, 8)
  inc %ecx
  cmp $8, %ecx
  jb 1b

place fill_areas                       # both areas get the same contents: line n holds n * n + 1
  mov $SUPERPAGE, %esi
  mov $SMALL_PAGES, %edi
  xor %ecx, %ecx
2:
  mov %ecx, %eax
  imul %ecx, %eax
  inc %eax
  mov %rax, (%rsi)
  mov %rax, (%rdi)
  add $LINE, %rsi
  add $LINE, %rdi
  inc %ecx
  cmp $AREA / LINE, %ecx
  jb 2b
  mov %cr3, %rax
  mov %rax, %cr3                       # the loops begin with empty TLBs

  xor %r12d, %r12d
  xor %r13d, %r13d
  mov $SUPERPAGE, %ebx
  mark 1
  nop
place the_first_superpage_load
  mov (%rbx), %rax
  mark 2
  mov $PASSES, %edx
place superpage_pass
  mov $SUPERPAGE, %ebx
place the_superpage_load
  add (%rbx), %r12
  rol $1, %r12
  add $LINE, %rbx
  cmp $SUPERPAGE + AREA, %ebx
  jb the_superpage_load
  dec %edx
  jnz superpage_pass

  mov $SMALL_PAGES, %ebx
  mark 3
  nop
place the_first_small_page_load
  mov (%rbx), %rax
  mark 4
  mov $PASSES, %edx
place small_page_pass
  mov $SMALL_PAGES, %ebx
place the_small_page_load
  add (%rbx), %r13
  rol $1, %r13
  add $LINE, %rbx
  cmp $SMALL_PAGES + AREA, %ebx
  jb the_small_page_load
  dec %edx
  jnz small_page_pass

  mark 5
  mov $SUPERPAGE, %ebx
place the_superpage_store
  mov %r12, 8(%rbx)
  mov $SMALL_PAGES, %ebx
place the_small_page_store
  mov %r13, 8(%rbx)

  mark 6
  print "seesaw: superpage checksum "
  mov %r12, %rdi
  call print_hex
  print "\nseesaw: small pages checksum "
  mov %r13, %rdi
  call print_hex
  print "\n"
  xor %edi, %edi
  cmp %r12, %r13
  setne %dil
  jmp exit_machine

.bss
.balign 4096
place seesaw_pd
  .skip 4096
place seesaw_pt
  .skip 4096
