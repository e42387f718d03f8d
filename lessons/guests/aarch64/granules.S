// SPDX-License-Identifier: GPL-3.0-or-later
//
// Translation with granules of 4, 16 and 64 KB, and what newer cores add: access flag and dirty state that the hardware
// manages, privileged access never. The kernel stays in the lower half; the upper half (TTBR1_EL1) takes one form after
// another. Wants a core with FEAT_HAFDBS, FEAT_PAN and all granules. Each check prints "ok   NAME" or "FAIL NAME".
//
// Marks: 1 the granules · 2 access flag and dirty state · 3 PAN · 4 the end

.include "guest.inc"

.text
.set TCR_T1_COMMON, 1 << 24 | 1 << 26 | 3 << 28    // walks cacheable and shareable
.set TCR_TG1_SHIFT, 30
.set TCR_HA, 1 << 39
.set TCR_HD, 1 << 40
.set PTE_CONTIGUOUS, 1 << 52
.set PTE_DBM, 1 << 51
.set TEST_PAGE, PTE_PAGE | PTE_MEMORY | PTE_PXN | PTE_UXN
.set TEST_BLOCK, PTE_BLOCK | PTE_MEMORY | PTE_PXN | PTE_UXN
.set TEST_VALUE, 0x5e5
.set FRAME_BYTES, 0x10000                          // the largest granule: fit for all

.set DATA, EC_DATA_SAME << EC_SHIFT | ESR_IL

// What the table of forms has.
.set FORM_NAME, 0
.set FORM_TG1, 8                                   // 1 16 KB, 2 4 KB, 3 64 KB
.set FORM_T1SZ, 9
.set FORM_BITS, 10                                 // that a level resolves
.set FORM_FIRST, 11                                // shift of the first level
.set FORM_BLOCK, 12                                // shift of the level of the block
.set FORM_PAGE, 13                                 // shift of level 3
.set FORM_SIZE, 16

.macro report name
  .pushsection .rodata
9:
  .asciz "\name"
  .popsection
  address x1, 9b
  bl report_check
.endm

// Runs an access that must raise an exception with this ESR_EL1: W0 is 1 if so.
.macro faults_as esr, instruction:vararg
  address x10, caught
  str xzr, [x10]
  \instruction
  ldr x0, =\esr
  address x10, caught
  ldr x10, [x10]
  cmp x0, x10
  cset w0, eq
.endm

function kernel_main
  mov x0, #VECTOR_SAME_SYNCHRONOUS
  address x1, fault_handler
  bl set_handler
  mark 1
  address x19, forms
1:
  bl check_form
  add x19, x19, #FORM_SIZE
  address x0, forms_end
  cmp x19, x0
  b.lo 1b
  address x19, forms                   // 4 KB, 48 bits
  bl use_form
  bl check_contiguous
  mark 2
  bl check_hardware_management
  mark 3
  bl check_privileged_access_never
  mark 4
  print "granules: done\n"
  power_off

// X0: frame. Notes the syndrome and whether PAN is set now; goes on behind the instruction.
function fault_handler
  address x1, caught
  ldr x2, [x0, #FRAME_ESR]
  mrs x3, pan
  stp x2, x3, [x1]
  ldr x1, [x0, #FRAME_ELR]
  add x1, x1, #4
  str x1, [x0, #FRAME_ELR]
  ret

// report_check(w0 passed, x1 name)
function report_check
  push x29, x30
  push x19, x20
  mov x19, x1
  cbnz w0, 1f
  print "FAIL "
  b 2f
1:
  print "ok   "
2:
  mov x0, x19
  bl print_string
  mov w0, #'\n'
  bl print_character
  pop x19, x20
  pop x29, x30
  ret

// ---- Tables of any granule ----------------------------------------------------------------------------------------

// X0: zeroed memory for a table or a page of any granule. RAM is zero at the start, and nothing here is given back.
function allocate
  address x1, pool
  ldr x0, [x1]
  add x2, x0, #FRAME_BYTES
  str x2, [x1]
  ret

// use_form(x19 form): an empty upper half of that form. X20 is its root, X21 its first address.
function use_form
  push x29, x30
  bl allocate
  mov x20, x0
  msr ttbr1_el1, x0
  ldrb w0, [x19, #FORM_T1SZ]
  mov x21, #-1
  mov x1, #64
  sub x1, x1, x0
  lsl x21, x21, x1
  ldrb w1, [x19, #FORM_TG1]
  lsl x0, x0, #16
  orr x0, x0, x1, lsl #TCR_TG1_SHIFT
  constant x1, TCR_T0 | TCR_T1_COMMON | TCR_EL1_IPS
  orr x0, x0, x1
  msr tcr_el1, x0
  dsb ishst
  tlbi vmalle1
  dsb ish
  isb
  pop x29, x30
  ret

// map(x19 form, x20 root, x21 first address, x1 address, x2 descriptor, w3 shift of the leaf's level): X0 is the
// address of the leaf
function map
  push x29, x30
  push x22, x23
  push x24, x25
  push x26, x27
  sub x22, x1, x21                     // what the tables resolve
  mov x23, x2
  mov w24, w3
  ldrb w25, [x19, #FORM_FIRST]
  ldrb w27, [x19, #FORM_BITS]
  mov x26, x20
1:
  mov x0, #1
  lsl x0, x0, x27
  sub x0, x0, #1
  lsr x1, x22, x25
  and x0, x0, x1
  add x26, x26, x0, lsl #3
  cmp w25, w24
  b.eq 3f
  ldr x0, [x26]
  tbnz x0, #0, 2f
  bl allocate
  orr x0, x0, #PTE_TABLE
  str x0, [x26]
2:
  and x26, x0, #PTE_ADDRESS
  sub w25, w25, w27
  b 1b
3:
  str x23, [x26]
  dsb ishst
  isb
  mov x0, x26
  pop x26, x27
  pop x24, x25
  pop x22, x23
  pop x29, x30
  ret

// ---- Granules -----------------------------------------------------------------------------------------------------

// The first address gets a page; the last page stays without one, next to a read-only page; a block in the middle.
function check_form
  push x29, x30
  push x22, x23
  push x24, x25
  ldr x0, [x19, #FORM_NAME]
  bl print_string
  print "\n"
  bl use_form
  bl allocate
  mov x22, x0
  mov x1, #TEST_VALUE
  str x1, [x22, #0x128]
  ldr x2, =TEST_PAGE
  orr x2, x2, x22
  mov x1, x21
  ldrb w3, [x19, #FORM_PAGE]
  bl map
place the_page_load
  ldr x0, [x21, #0x128]
  cmp x0, #TEST_VALUE
  cset w0, eq
  report "page"

  ldrb w3, [x19, #FORM_PAGE]
  mov x1, #1
  lsl x1, x1, x3
  neg x24, x1                          // the last page
  sub x1, x24, x1
  mov x25, x1
  ldr x2, =TEST_PAGE | PTE_READ_ONLY
  orr x2, x2, x22
  bl map
  faults_as DATA | FSC_TRANSLATION | 3, ldr x0, [x24]
  report "translation fault, level 3"
  faults_as DATA | ISS_WRITE | FSC_PERMISSION | 3, str x0, [x25]
  report "permission fault, level 3"

  ldrb w3, [x19, #FORM_BLOCK]
  mov x1, #5
  lsl x1, x1, x3
  add x25, x21, x1
  mov x1, x25
  ldr x2, =RAM | TEST_BLOCK | PTE_READ_ONLY
  bl map
  mov x0, #0x80000
place the_block_load
  ldr x1, [x25, x0]
  constant x2, RAM
  ldr x2, [x2, x0]
  cmp x1, x2
  cset w0, eq
  report "block"
  ldrb w3, [x19, #FORM_BLOCK]
  mov x1, #1
  lsl x1, x1, x3
  add x25, x25, x1                     // the block behind it
  mov x1, x25
  constant x2, RAM | PTE_BLOCK          // without its access flag
  bl map
  faults_as DATA | FSC_ACCESS_FLAG | 2, ldr x0, [x25]
  report "access flag fault, level 2"
  sub x0, x21, #8                      // below the upper half
  faults_as DATA | FSC_TRANSLATION | 0, ldr x1, [x0]
  report "address outside of both halves"
  pop x24, x25
  pop x22, x23
  pop x29, x30
  ret

// Sixteen pages that say that they lie side by side: the TLB may hold them as one.
function check_contiguous
  push x29, x30
  push x22, x23
  push x24, x25
  bl allocate                          // 64 KB
  mov x22, x0
  constant x24, 0x123450000
  add x24, x24, x21
  mov x23, #0
1:
  str x23, [x22, x23]
  add x1, x24, x23
  add x2, x22, x23
  ldr x0, =TEST_PAGE | PTE_CONTIGUOUS
  orr x2, x2, x0
  mov w3, #SHIFT_LEVEL3
  bl map
  add x23, x23, #0x1000
  cmp x23, #0x10, lsl #12
  b.lo 1b
  mov w0, #1
2:
  sub x23, x23, #0x1000
place the_contiguous_load
  ldr x1, [x24, x23]
  cmp x1, x23
  csel w0, w0, wzr, eq
  cbnz x23, 2b
  report "contiguous pages"
  pop x24, x25
  pop x22, x23
  pop x29, x30
  ret

// ---- Access flag and dirty state ----------------------------------------------------------------------------------

// Maps a fresh page with descriptor flags `flags` at page `number`: X24 its address, X25 its descriptor's.
.macro fresh_page number, flags
  bl allocate
  ldr x2, =\flags
  orr x2, x2, x0
  constant x1, 0x200000000 + \number * 0x1000
  add x1, x1, x21
  mov x24, x1
  mov w3, #SHIFT_LEVEL3
  bl map
  mov x25, x0
.endm

.macro or_into_tcr bits
  mrs x0, tcr_el1
  constant x1, \bits
  orr x0, x0, x1
  msr tcr_el1, x0
  dsb ishst
  tlbi vmalle1
  dsb ish
  isb
.endm

.set ABSENT_FLAG_PAGE, (TEST_PAGE) & ~PTE_AF
.set DIRTY_PAGE, TEST_PAGE | PTE_READ_ONLY | PTE_DBM

function check_hardware_management
  push x29, x30
  push x24, x25
  fresh_page 0, ABSENT_FLAG_PAGE
  faults_as DATA | FSC_ACCESS_FLAG | 3, ldr x0, [x24]
  report "without TCR_EL1.HA the access flag is software's"
  or_into_tcr TCR_HA
place the_flagged_load
  ldr x0, [x24]
  ldr x1, [x25]
  ubfx w0, w1, #10, #1
  report "with it the hardware sets the flag"

  fresh_page 1, DIRTY_PAGE
  faults_as DATA | ISS_WRITE | FSC_PERMISSION | 3, str x0, [x24]
  report "without TCR_EL1.HD a page with DBM is read-only"
  or_into_tcr TCR_HD
  ldr x0, [x24]
  ldr x1, [x25]
  ubfx w0, w1, #7, #1
  report "with it a load leaves the page clean"
place the_dirtying_store
  str x24, [x24]
  ldr x0, [x24]
  ldr x1, [x25]
  cmp x0, x24
  cset w0, eq
  tst x1, #PTE_READ_ONLY
  csel w0, w0, wzr, eq
  report "a store makes it writable: dirty"
  fresh_page 2, TEST_PAGE | PTE_READ_ONLY
  faults_as DATA | ISS_WRITE | FSC_PERMISSION | 3, str x0, [x24]
  report "without DBM a page stays read-only"
  pop x24, x25
  pop x29, x30
  ret

// ---- Privileged access never --------------------------------------------------------------------------------------

function check_privileged_access_never
  push x29, x30
  push x24, x25
  fresh_page 3, TEST_PAGE | PTE_EL0
  str x24, [x24]
  ldr x0, [x24]
  cmp x0, x24
  cset w0, eq
  report "EL1 uses a page of EL0"
  msr pan, #1
  faults_as DATA | FSC_PERMISSION | 3, ldr x1, [x24]
  report "with PAN it may not read it"
  faults_as DATA | ISS_WRITE | FSC_PERMISSION | 3, str x1, [x24]
  report "nor write it"
  ldtr x0, [x24]
  msr pan, #0
  cmp x0, x24
  cset w0, eq
  report "LDTR does not mind PAN"
  udf #0
  address x0, caught
  ldr x0, [x0, #8]
  cmp x0, #0
  cset w0, eq
  report "with SCTLR_EL1.SPAN an exception leaves PAN alone"
  mrs x0, sctlr_el1
  and x0, x0, #~SCTLR_SPAN
  msr sctlr_el1, x0
  isb
  udf #0
  address x0, caught
  ldr x0, [x0, #8]
  cmp x0, #0
  cset w0, ne
  report "without it an exception sets PAN"
  mrs x0, pan
  cmp x0, #0
  cset w0, eq
  report "and ERET gives the old one back"
  pop x24, x25
  pop x29, x30
  ret

.macro form name, tg1, t1sz, bits, first, block, page
  .pushsection .rodata
9:
  .asciz "\name"
  .popsection
  .quad 9b
  .byte \tg1, \t1sz, \bits, \first, \block, \page, 0, 0
.endm

.section .rodata.forms, "a"
.balign 8
forms:
  form "4 KB, 48 bits, from level 0:", 2, 16, 9, 39, 21, 12
  form "4 KB, 39 bits, from level 1:", 2, 25, 9, 30, 21, 12
  form "4 KB, 36 bits, from level 1:", 2, 28, 9, 30, 21, 12
  form "16 KB, 48 bits, from level 0:", 1, 16, 11, 47, 25, 14
  form "16 KB, 47 bits, from level 1:", 1, 17, 11, 36, 25, 14
  form "16 KB, 36 bits, from level 2:", 1, 28, 11, 25, 25, 14
  form "64 KB, 48 bits, from level 1:", 3, 16, 13, 42, 29, 16
  form "64 KB, 42 bits, from level 2:", 3, 22, 13, 29, 29, 16
forms_end:

.data
.balign 8
pool:
  .quad 0x41000000

.bss
.balign 16
caught:
  .skip 16
