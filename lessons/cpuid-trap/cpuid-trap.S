// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guest of the lesson on one trap under VT-x: a handful of instructions that a VMM must or may take over, each with a
// name and a mark before it. CPUID always leaves the guest under VT-x; what the others do depends on the VMCS. Neither
// the console nor the memory depends on who answered: the values are looked at in registers, and wiped.
//
// Marks: 1 before CPUID · 2 before RDTSC · 3 before the CR3 write · 4 before OUT · 5 at the end

.include "guest.inc"

.text
function kernel_main
  mark 1
  mov $1, %eax
  xor %ecx, %ecx
place the_cpuid
  cpuid
place after_cpuid                      # ECX bit 31: a hypervisor says that it is there; hardware never does
  bt $31, %ecx
  setc %r12b
place the_hypervisor_bit               # R12: 1 under a VMM that admits it, 0 on bare hardware
  nop
  xor %r12d, %r12d
  xor %ebx, %ebx
  xor %ecx, %ecx

  mark 2
place the_rdtsc
  rdtsc
place after_rdtsc
  xor %edx, %edx

  mark 3
place the_cr3_read
  mov %cr3, %rax
place the_cr3_write
  mov %rax, %cr3
place after_cr3_write

  mark 4
  mov $PORT_COM1, %edx
  mov $'*', %eax
place the_out
  out %al, (%dx)
place after_out

  print " done\n"
  mark 5
  exit 0
