// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the tables say: pure functions from a machine view to rows of text.
#pragma once

#include <optional>
#include <vector>

#include "app/gui/session_controller.h"
#include "app/gui/table_model.h"

namespace shearling::gui {

/// "0x1012c4".
QString hex(std::uint64_t value);
/// Padded to the width of the register, but to 32 bits where the upper half is zero; grouped by four where it is long.
QString hex_padded(std::uint64_t value, unsigned bits);
/// 48213 as "48,213".
QString grouped(std::uint64_t value);

/// The word and the sign of an event's family, as the Microscope and the narration show them.
struct EventFamily {
  QString word;
  QString sign;  ///< "✓", "✗", "⇡", "·", ...
  Ink ink = Ink::Muted;
};
EventFamily family_of(const Event& event);

/// How the guest ended: "ended: exit port, code 1", "switched the machine off".
QString end_words(const Stop& stop);

/// The registers that a lecture looks at first and those whose two values differ, or all of them, under their groups.
enum class RegisterChoice : std::uint8_t { Essential, All };
std::vector<Column> register_columns();
/// `cpu`: the core whose registers; the current one where there is none of that number.
std::vector<Row> register_rows(const MachineView& view, RegisterChoice choice, std::optional<unsigned> cpu = {});
std::vector<Column> control_columns();
std::vector<Row> control_rows(const MachineView& view);
std::vector<Column> event_columns();
std::vector<Row> event_rows(const Moment& moment);
std::vector<Column> code_columns();
std::vector<Row> disassembly_rows(const MachineView& view);
std::vector<Row> source_rows(const MachineView& view);
/// The list of TLBs, page-walk caches and TFT: how full each is, and what the shown step did with it.
std::vector<Column> structure_columns();
std::vector<Row> structure_rows(const MachineView& view);
std::vector<Column> tlb_columns();
/// `structure`: an index into view.tlbs; one past them the page-walk caches; two past them the TFT.
std::vector<Row> tlb_rows(const MachineView& view, std::size_t structure);
std::vector<Column> memory_columns();
std::vector<Row> memory_rows(const MemoryWindow& window, const MemoryWindow* before, std::size_t row_bytes = 16);

}  // namespace shearling::gui
