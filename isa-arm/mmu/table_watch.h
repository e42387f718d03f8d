// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which translation-table entries some walk of any core has used: what a TLB or a page-walk cache may remember. Entries
// are never forgotten: a machine that is put back to an earlier state must not miss a change, and knowing of too many
// entries only costs time. This is knowledge of the simulator, not state of the hardware.
#pragma once

#include "core/machine/used_table_entries.h"

namespace shearling::arm {

class TableWatch {
 public:
  UsedTableEntries entries;
  bool hazard = false;  ///< A used entry was changed since somebody cleared this.
};

}  // namespace shearling::arm
