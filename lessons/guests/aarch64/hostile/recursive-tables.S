// SPDX-License-Identifier: GPL-3.0-or-later
//
// Hostile: translation tables that map themselves (level-0 entry 511 names the level-0 table). The guest reads and
// writes its own tables through that window, at every depth, which is legal; then it overwrites the level-0 table
// with its own rubbish through the window and forgets all translations: the next fetch walks through rubbish, and so
// does every attempt to report it.

.include "guest.inc"

.set WINDOW_LEVEL0, 511 << 39 | 511 << 30 | 511 << 21 | 511 << 12
.set WINDOW_LEVEL3, 511 << 39 | 0 << 30 | 1 << 21 | 0 << 12         // the level-3 table of the first 2 MB of RAM
.set TABLE_ENTRY, PTE_TABLE | PTE_NORMAL | PTE_SHARED | PTE_AF      // as a page descriptor it makes memory, too

.text
function kernel_main
  address x0, boot_level0
  constant x1, TABLE_ENTRY
  orr x2, x0, x1
  str x2, [x0, #511 * 8]
  address x3, boot_level1                                          // the tables on the window's way become pages, too
  orr x4, x3, x1
  str x4, [x0]
  address x5, boot_level2
  orr x4, x5, x1
  str x4, [x3, #8]
  address x6, boot_level3
  orr x4, x6, x1
  str x4, [x5]
  dsb ishst
  tlbi vmalle1
  dsb ish
  isb
  constant x19, WINDOW_LEVEL0
place the_window_read
  ldr x20, [x19, #511 * 8]
  cmp x20, x2
  b.ne failed
  constant x21, WINDOW_LEVEL3
  ldr x20, [x21, #511 * 8]                                         // the last page of the first 2 MB
  and x20, x20, #PTE_ADDRESS
  constant x0, RAM + 0x1ff000
  cmp x20, x0
  b.ne failed
place the_unmapping                                                // and take that page away, through the window
  str xzr, [x21, #511 * 8]
  dsb ishst
  lsr x0, x0, #12
  tlbi vaae1, x0
  dsb ish
  isb
  address x0, boot_level3
  ldr x0, [x0, #511 * 8]
  cbnz x0, failed
  print "recursive-tables: the window works\n"
  address x0, garbage
  mov x1, #512
place the_corruption
  ldr x2, [x0], #8
  str x2, [x19], #8
  subs x1, x1, #1
  b.ne the_corruption
place the_flush
  dsb ishst
  tlbi vmalle1
  dsb ish
  isb
  b .

failed:
  print "recursive-tables: FAIL\n"
  power_off

.data
.balign 4096
garbage:
  .set entry, 0
  .rept 512
  .quad 0x00000badbad00000 + entry * 0x1000 + (entry & 0xfe)       // valid never; all other low bits in turn
  .set entry, entry + 1
  .endr
