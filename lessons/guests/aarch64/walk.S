// SPDX-License-Identifier: GPL-3.0-or-later
//
// Guest of the lesson on translation tables: the twin of page-walk.S. Virtual pages lie far from everything: no table
// of their paths is used by anything else, and each table lies in a 2 MB region of memory of its own.
//
//   cold page    level 0 [5] 1 [17] 2 [33] 3 [65], 4 KB     the_cold_load, the_hot_load, the_stale_load, the_fresh_load
//   block        level 0 [6] 1 [18] 2 [34], 2 MB            the_block_load
//   upper page   TTBR1_EL1, level 0 [511] and so on         the_upper_load
//
// Then the cold page's descriptor is changed without TLBI: a TLB that still holds the old translation serves the old
// frame. Whether it does is the machine's own affair, so nothing printed or kept depends on it. After TLBI the new
// frame must be seen. At last four accesses fault, and the handler mends the cause of each: no translation (it maps a
// page), access flag (it sets it), store to a read-only page (it copies the page), and one beyond what it can mend
// (it skips).
//
// Marks: 1 before the cold load · 2 before the block load · 3 before the hot load · 4 before the descriptor is changed
//        5 before the stale load · 6 before TLBI · 7 before the fresh load · 8 before the upper load · 9 before the
// faults

.include "guest.inc"

.text
.include "memory.inc"

.set COLD_PAGE, 5 << 39 | 17 << 30 | 33 << 21 | 65 << 12
.set COLD_ADDRESS, COLD_PAGE + 0x128
.set BLOCK, 6 << 39 | 18 << 30 | 34 << 21
.set BLOCK_ADDRESS, BLOCK + 0x4128
.set UPPER_PAGE, 0xffffff8000000000
.set ABSENT_PAGE, COLD_PAGE + 0x1000
.set UNUSED_PAGE, COLD_PAGE + 0x2000
.set COPIED_PAGE, COLD_PAGE + 0x3000
.set NOWHERE, 9 << 39

// Physical memory.
.set COLD_LEVEL1, RAM + 0x2001000
.set COLD_LEVEL2, RAM + 0x2802000
.set COLD_LEVEL3, RAM + 0x3003000
.set OLD_FRAME, RAM + 0x3804000
.set NEW_FRAME, RAM + 0x4005000
.set BLOCK_LEVEL1, RAM + 0x4806000
.set BLOCK_LEVEL2, RAM + 0x5007000
.set BLOCK_FRAME, RAM + 0x6000000

.set DATA_PAGE, PTE_PAGE | PTE_MEMORY | PTE_PXN | PTE_UXN
.set DATA_BLOCK, PTE_BLOCK | PTE_MEMORY | PTE_PXN | PTE_UXN
.set OLD_VALUE, 0x01d
.set NEW_VALUE, 0x2e3
.set BLOCK_VALUE, 0x5e5

// Stores a 64-bit value at a constant address.
.macro store address, value
  constant x0, \address
  constant x1, \value
  str x1, [x0]
.endm

function kernel_main
place build_cold_path
  address x2, boot_level0
  constant x1, COLD_LEVEL1 | PTE_TABLE
  str x1, [x2, #5 * 8]
  store COLD_LEVEL1 + 17 * 8, COLD_LEVEL2 | PTE_TABLE
  store COLD_LEVEL2 + 33 * 8, COLD_LEVEL3 | PTE_TABLE
  store COLD_LEVEL3 + 65 * 8, OLD_FRAME | DATA_PAGE
  store OLD_FRAME + 0x128, OLD_VALUE
  store NEW_FRAME + 0x128, NEW_VALUE
place build_block_path
  constant x1, BLOCK_LEVEL1 | PTE_TABLE
  str x1, [x2, #6 * 8]
  store BLOCK_LEVEL1 + 18 * 8, BLOCK_LEVEL2 | PTE_TABLE
  store BLOCK_LEVEL2 + 34 * 8, BLOCK_FRAME | DATA_BLOCK
  store BLOCK_FRAME + 0x4128, BLOCK_VALUE

  constant x19, COLD_ADDRESS
  constant x20, BLOCK_ADDRESS
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
  mov x21, x0

  mark 2
  nop
place the_block_load
  ldr x0, [x20]
place after_block_load
  mov x22, x0

  mark 3
  nop
place the_hot_load
  ldr x0, [x19]
place after_hot_load
  cmp x0, x21
  b.ne failed
  cmp x21, #OLD_VALUE
  b.ne failed
  mov x0, #BLOCK_VALUE
  cmp x22, x0
  b.ne failed

  mark 4
place the_entry_change
  store COLD_LEVEL3 + 65 * 8, NEW_FRAME | DATA_PAGE
  mark 5
  nop
place the_stale_load
  ldr x0, [x19]
place after_stale_load                 // X0: the old value from a stale TLB entry, or the new one
  nop
  mov x0, #0

  mark 6
  dsb ishst
  lsr x0, x19, #12
place the_tlbi
  tlbi vaae1, x0
  dsb ish
  isb
  mark 7
  nop
place the_fresh_load
  ldr x0, [x19]
place after_fresh_load
  cmp x0, #NEW_VALUE
  b.ne failed
  print "walk: after TLBI the new page is seen\n"

  bl show_upper_half
  bl show_faults
  print "walk: done\n"
  power_off

failed:
  print "walk: FAIL\n"
  power_off

// The upper half has a table of its own: TTBR1_EL1.
function show_upper_half
  push x29, x30
  push x19, x20
  address x0, upper_level0
  constant x1, UPPER_PAGE
  constant x2, OLD_FRAME | DATA_PAGE
  address x3, pool
  bl map_page
  address x0, upper_level0
  msr ttbr1_el1, x0
  isb
  mrs x0, tcr_el1
  and x0, x0, #~TCR_EPD1
  msr tcr_el1, x0
  isb
  mark 8
  constant x19, UPPER_PAGE + 0x128
place the_upper_load
  ldr x20, [x19]
  print "walk: the upper half holds "
  print_hex_of x20
  print "\n"
  pop x19, x20
  pop x29, x30
  ret

function show_faults
  push x29, x30
  push x19, x20
  mov x0, #VECTOR_SAME_SYNCHRONOUS
  address x1, abort_handler
  bl set_handler
  store COLD_LEVEL3 + 67 * 8, (NEW_FRAME | DATA_PAGE) & ~PTE_AF
  store COLD_LEVEL3 + 68 * 8, NEW_FRAME | DATA_PAGE | PTE_READ_ONLY
  dsb ishst
  isb
  mark 9
  constant x19, ABSENT_PAGE + 0x128
place the_absent_load
  ldr x20, [x19]
  print "  it is zero there: "
  print_hex_of x20
  print "\n"
  constant x19, UNUSED_PAGE + 0x128
place the_first_use
  ldr x20, [x19]
  print "  the page holds "
  print_hex_of x20
  print "\n"
  constant x19, COPIED_PAGE + 0x128
place the_copying_store
  str x19, [x19]
  ldr x20, [x19]
  constant x0, NEW_FRAME + 0x128
  ldr x19, [x0]
  print "  the copy holds "
  print_hex_of x20
  print ", the page "
  print_hex_of x19
  print "\n"
  constant x19, NOWHERE
  mov x20, #0
place the_hopeless_load
  ldr x20, [x19]
  print "  skipped: "
  print_hex_of x20
  print "\n"
  pop x19, x20
  pop x29, x30
  ret

// X0: frame. Mends what the fault status names, and lets the instruction run again.
function abort_handler
  push x29, x30
  push x19, x20
  push x21, x22
  mov x19, x0
  ldr x20, [x19, #FRAME_ESR]
  ldr x21, [x19, #FRAME_FAR]
  lsr x0, x20, #EC_SHIFT
  cmp x0, #EC_DATA_SAME
  b.ne unexpected_fault
  print "fault: status "
  and x0, x20, #0x3f
  bl print_hex
  print ", write "
  ubfx x0, x20, #6, #1
  bl print_decimal
  print ", at "
  print_hex_of x21
  print "\n"
  ubfx x0, x21, #12, #9                // its descriptor in the cold page's table
  constant x22, COLD_LEVEL3
  add x22, x22, x0, lsl #3
  and w0, w20, #0x3f
  cmp w0, #FSC_TRANSLATION | 3
  b.eq map_absent_page
  cmp w0, #FSC_ACCESS_FLAG | 3
  b.eq set_access_flag
  cmp w0, #FSC_PERMISSION | 3
  b.eq copy_page
  ldr x0, [x19, #FRAME_ELR]
  add x0, x0, #4
  str x0, [x19, #FRAME_ELR]
  b fault_handled

place map_absent_page
  address x0, pool
  bl allocate_frame
  ldr x1, =DATA_PAGE
  orr x0, x0, x1
  b set_descriptor
place set_access_flag                  // no TLBI: a translation without its access flag is not kept
  ldr x0, [x22]
  orr x0, x0, #PTE_AF
  b set_descriptor
place copy_page
  address x0, pool
  bl allocate_frame
  ldr x1, [x22]
  and x1, x1, #PTE_ADDRESS
  mov x2, #0
1:
  ldr x3, [x1, x2]
  str x3, [x0, x2]
  add x2, x2, #8
  cmp x2, #0x1000
  b.lo 1b
  str xzr, [x22]                       // break before make: the read-only translation may be in the TLB
  dsb ishst
  lsr x1, x21, #12
  tlbi vaae1, x1
  dsb ish
  ldr x1, =DATA_PAGE
  orr x0, x0, x1
place set_descriptor
  str x0, [x22]
  dsb ishst
  isb
place fault_handled
  mov x0, x19
  pop x21, x22
  pop x19, x20
  pop x29, x30
  ret

unexpected_fault:
  mov x0, x19
  b unexpected_exception

.data
.balign 8
pool:
  .quad 0x41000000

.bss
.balign 4096
place upper_level0
  .skip 4096
