// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guest of the lesson on virtual, intermediate physical and physical addresses. Virtual pages lie far from everything,
// and each table of the cold path in a 2 MB region of memory of its own:
//
//   cold page      level 0 [5] 1 [17] 2 [33] 3 [65], 4 KB     the_cold_load
//   fresh page     the next one; nothing has touched its frame before the_first_touch
//   shared page    the one after that: not global, and another frame in each of two address spaces
//   block          level 0 [6] 1 [18] 2 [34], 2 MB            the_block_load
//
// Two address spaces, ASID 1 (the boot tables) and 2 (tables that share the kernel's half and nothing else), change
// places without TLBI; then the translation of ASID 1 alone is invalidated.
//
// Marks: 1 before the cold load · 2 before the block load · 3 before the AT instruction · 4 before the first touch
//        5 the address spaces begin · 6 before the TLBI · 7 the end

.include "guest.inc"

.text
.include "memory.inc"

.set COLD_PAGE, 5 << 39 | 17 << 30 | 33 << 21 | 65 << 12
.set COLD_ADDRESS, COLD_PAGE + 0x128
.set FRESH_ADDRESS, COLD_PAGE + 0x1128
.set SHARED_PAGE, COLD_PAGE + 0x2000
.set SHARED_ADDRESS, COLD_PAGE + 0x2128
.set BLOCK_ADDRESS, (6 << 39 | 18 << 30 | 34 << 21) + 0x4128

// What the guest takes for physical memory.
.set COLD_LEVEL1, RAM + 0x2001000
.set COLD_LEVEL2, RAM + 0x2802000
.set COLD_LEVEL3, RAM + 0x3003000
.set COLD_FRAME, RAM + 0x3804000
.set FRESH_FRAME, RAM + 0x3a05000
.set BLOCK_LEVEL1, RAM + 0x4806000
.set BLOCK_LEVEL2, RAM + 0x5007000
.set BLOCK_FRAME, RAM + 0x6000000
.set FIRST_FRAME, RAM + 0x7008000
.set SECOND_FRAME, RAM + 0x7809000

.set DATA_PAGE, PTE_PAGE | PTE_MEMORY | PTE_PXN | PTE_UXN
.set DATA_BLOCK, PTE_BLOCK | PTE_MEMORY | PTE_PXN | PTE_UXN
.set COLD_VALUE, 0x01d
.set FRESH_VALUE, 0xf00d
.set BLOCK_VALUE, 0x5e5
.set FIRST_VALUE, 0x111
.set SECOND_VALUE, 0x222

// Stores a 64-bit value at a constant address.
.macro store address, value
  constant x0, \address
  constant x1, \value
  str x1, [x0]
.endm

function kernel_main
place build_paths
  address x2, boot_level0
  constant x1, COLD_LEVEL1 | PTE_TABLE
  str x1, [x2, #5 * 8]
  store COLD_LEVEL1 + 17 * 8, COLD_LEVEL2 | PTE_TABLE
  store COLD_LEVEL2 + 33 * 8, COLD_LEVEL3 | PTE_TABLE
  store COLD_LEVEL3 + 65 * 8, COLD_FRAME | DATA_PAGE
  store COLD_LEVEL3 + 66 * 8, FRESH_FRAME | DATA_PAGE
  store COLD_LEVEL3 + 67 * 8, FIRST_FRAME | DATA_PAGE | PTE_NG
  store COLD_FRAME + 0x128, COLD_VALUE
  store FIRST_FRAME + 0x128, FIRST_VALUE
  store SECOND_FRAME + 0x128, SECOND_VALUE
  constant x1, BLOCK_LEVEL1 | PTE_TABLE
  str x1, [x2, #6 * 8]
  store BLOCK_LEVEL1 + 18 * 8, BLOCK_LEVEL2 | PTE_TABLE
  store BLOCK_LEVEL2 + 34 * 8, BLOCK_FRAME | DATA_BLOCK
  store BLOCK_FRAME + 0x4128, BLOCK_VALUE
  ldr x0, [x2]                         // the kernel's first level-0 entry, for both address spaces
  address x1, other_level0
  str x0, [x1]
  mov x0, x1
  constant x1, SHARED_PAGE
  constant x2, SECOND_FRAME | DATA_PAGE | PTE_NG
  address x3, pool
  bl map_page
  address x22, boot_level0             // TTBR0_EL1 of either space: root, and ASID in bits 63 to 48
  mov x0, #1 << 48
  orr x22, x22, x0
  address x23, other_level0
  mov x0, #2 << 48
  orr x23, x23, x0
  constant x19, COLD_ADDRESS
  constant x20, BLOCK_ADDRESS
  constant x21, FRESH_ADDRESS
  constant x24, SHARED_ADDRESS
  constant x26, FRESH_VALUE
place forget_translations
  dsb ishst
  tlbi vmalle1
  dsb ish
  isb

  mark 1
  nop                                  // brings this code's own translation back, so that the load's walk stands alone
place the_cold_load
  ldr x0, [x19]
place after_cold_load
  mov x25, x0
  mark 2
  nop
place the_block_load
  ldr x0, [x20]
place after_block_load
  add x25, x25, x0

  mark 3
place the_at
  at s1e1r, x19                        // asks for the translation of stage 1; the result is in PAR_EL1
  isb
place after_at
  mrs x28, par_el1
  and x28, x28, #PTE_ADDRESS

  mark 4
  nop
place the_first_touch
  str x26, [x21]
place after_first_touch
  ldr x0, [x21]
  add x25, x25, x0

  mark 5
place enter_first_space
  msr ttbr0_el1, x22
  isb
  nop
place the_first_load
  ldr x0, [x24]
place after_first_load
  add x25, x25, x0
place enter_second_space
  msr ttbr0_el1, x23
  isb
  nop
place the_second_load
  ldr x0, [x24]
place after_second_load
  add x25, x25, x0
place back_to_first_space
  msr ttbr0_el1, x22
  isb
  nop
place the_kept_load
  ldr x0, [x24]
place after_kept_load
  add x25, x25, x0

  mark 6
  lsr x0, x24, #12
  mov x1, #1 << 48                     // of ASID 1 alone
  orr x0, x0, x1
  dsb ishst
place the_tlbi
  tlbi vae1, x0
place after_tlbi
  dsb ish
  isb
  nop
place the_forgotten_load
  ldr x0, [x24]
place after_forgotten_load
  add x25, x25, x0
  msr ttbr0_el1, x23
  isb
  nop
place the_spared_load
  ldr x0, [x24]
place after_spared_load
  add x25, x25, x0

  mark 7
  print "three-addresses: AT gives "
  print_hex_of x28
  print ", the loads add up to "
  print_hex_of x25
  print "\n"
  power_off

.data
.balign 8
pool:
  .quad 0x41000000

.bss
.balign 4096
place other_level0
  .skip 4096
