// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: a jump to a page that is mapped, to physical memory where there is neither RAM nor a device. What is fetched
// there is the bus's affair; the guest has no handlers, so that it ends in a triple fault whatever it is that it runs into.

.include "guest.inc"

.text
function kernel_main
  movq $0x40000000 | PTE_P | PTE_W | PTE_PS, boot_pd + 256 * 8   # 512 MB: maps physical 1 GB, RAM ends at 256 MB
  lidt no_descriptors(%rip)
  mov $0x201fff00, %eax              # runs out of the mapped page soon, if it runs at all
place the_jump
  jmp *%rax

.data
no_descriptors:
  .word 0
  .quad 0
