// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/rows.h"

#include <algorithm>
#include <map>

#include <QCoreApplication>
#include <QLocale>
#include <QRegularExpression>

#include "core/events/reflection.h"

namespace shearling::gui {
namespace {

QString tr(const char* text) { return QCoreApplication::translate("Rows", text); }
QString text_of(std::string_view text) { return QString::fromUtf8(text.data(), static_cast<qsizetype>(text.size())); }

Cell words(const QString& text, Ink ink = Ink::Text, bool bold = false) {
  return {.text = text, .ink = ink, .mono = false, .bold = bold};
}
Cell mono(const QString& text, Ink ink = Ink::Text, bool bold = false) {
  return {.text = text, .ink = ink, .mono = true, .bold = bold};
}
Cell right(const QString& text, Ink ink = Ink::Text) {
  return {.text = text, .ink = ink, .mono = true, .bold = false, .right = true};
}

Cell sign(const QString& text, Ink ink) {
  return {.text = text, .ink = ink, .mono = false, .bold = true, .right = false, .sign = true};
}

template <typename... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <typename... F>
Overloaded(F...) -> Overloaded<F...>;

QString hit_sign(bool hit) { return hit ? QStringLiteral("✓") : QStringLiteral("✗"); }
Ink hit_ink(bool hit) { return hit ? Ink::Good : Ink::Bad; }

bool differs(const RegisterRow& row) { return row.believed != row.real; }

}  // namespace

QString hex(std::uint64_t value) { return QStringLiteral("0x%1").arg(value, 0, 16); }

QString hex_padded(std::uint64_t value, unsigned bits) {
  const bool is_long = bits > 32 && value >> 32 != 0;
  const int digits = is_long ? 16 : static_cast<int>((std::min(bits, 32U) + 3) / 4);
  QString text = QStringLiteral("%1").arg(value, digits, 16, QLatin1Char('0'));
  for (int place = 12; is_long && place > 0; place -= 4) text.insert(place, QLatin1Char('_'));
  return QStringLiteral("0x") + text;
}

QString grouped(std::uint64_t value) { return QLocale(QLocale::English).toString(static_cast<qulonglong>(value)); }

EventFamily family_of(const Event& event) {
  static const QString dot = QStringLiteral("·");
  static const QString up = QStringLiteral("⇡");
  static const QString down = QStringLiteral("⇣");
  return std::visit(
      Overloaded{
          [](const InstructionFetched&) {
            return EventFamily{tr("fetch"), dot, Ink::Muted};
          },
          [](const InstructionRetired&) {
            return EventFamily{tr("retire"), hit_sign(true), Ink::Good};
          },
          [](const RepIterated&) {
            return EventFamily{tr("repeat"), dot, Ink::Muted};
          },
          [](const Check& check) {
            if (check.verdict == CheckVerdict::Exits) return EventFamily{tr("check"), up, Ink::Vmm};
            return EventFamily{tr("check"), hit_sign(check.verdict == CheckVerdict::Passed),
                               hit_ink(check.verdict == CheckVerdict::Passed)};
          },
          [](const TrapRaised&) {
            return EventFamily{tr("trap"), up, Ink::Bad};
          },
          [](const TrapDelivered&) {
            return EventFamily{tr("deliver"), up, Ink::GuestKernel};
          },
          [](const TrapReturned&) {
            return EventFamily{tr("return"), down, Ink::GuestUser};
          },
          [](const PrivilegeChanged&) {
            return EventFamily{tr("privilege"), dot, Ink::Hardware};
          },
          [](const ModeChanged&) {
            return EventFamily{tr("mode"), dot, Ink::Hardware};
          },
          [](const RegisterWritten&) {
            return EventFamily{tr("register"), dot, Ink::Hardware};
          },
          [](const VmExit&) {
            return EventFamily{tr("VM exit"), up, Ink::Vmm};
          },
          [](const VmmAction&) {
            return EventFamily{tr("VMM"), dot, Ink::Vmm};
          },
          [](const VmEntry&) {
            return EventFamily{tr("VM entry"), down, Ink::GuestKernel};
          },
          [](const Hypercall&) {
            return EventFamily{tr("hypercall"), up, Ink::Vmm};
          },
          [](const WalkBegin&) {
            return EventFamily{tr("walk"), dot, Ink::FirstStage};
          },
          [](const WalkReference& reference) {
            return EventFamily{reference.stage == 1 ? tr("stage 1") : tr("stage 2"),
                               reference.number == 0 ? QStringLiteral("–") : dot,
                               reference.stage == 1 ? Ink::FirstStage : Ink::SecondStage};
          },
          [](const WalkEnd& end) {
            return EventFamily{tr("walk"), hit_sign(!end.faulted), hit_ink(!end.faulted)};
          },
          [](const TlbLookup& lookup) {
            return EventFamily{tr("TLB"), hit_sign(lookup.hit), hit_ink(lookup.hit)};
          },
          [](const TlbFill&) {
            return EventFamily{tr("TLB"), QStringLiteral("+"), Ink::Hardware};
          },
          [](const TlbEvict&) {
            return EventFamily{tr("TLB"), QStringLiteral("–"), Ink::Hardware};
          },
          [](const TlbInvalidate&) {
            return EventFamily{tr("TLB"), QStringLiteral("–"), Ink::Hardware};
          },
          [](const TftLookup& lookup) {
            return EventFamily{tr("TFT"), hit_sign(lookup.hit), hit_ink(lookup.hit)};
          },
          [](const TftFill&) {
            return EventFamily{tr("TFT"), QStringLiteral("+"), Ink::Seesaw};
          },
          [](const TftInvalidate&) {
            return EventFamily{tr("TFT"), QStringLiteral("–"), Ink::Seesaw};
          },
          [](const CacheLookup& lookup) {
            return EventFamily{tr("cache"), hit_sign(lookup.hit), hit_ink(lookup.hit)};
          },
          [](const CacheFill&) {
            return EventFamily{tr("cache"), QStringLiteral("+"), Ink::Hardware};
          },
          [](const CacheEvict&) {
            return EventFamily{tr("cache"), QStringLiteral("–"), Ink::Hardware};
          },
          [](const CacheAlias&) {
            return EventFamily{tr("cache"), QStringLiteral("≠"), Ink::Bad};
          },
          [](const MemoryAccess& access) {
            return EventFamily{access.access == AccessKind::Write ? tr("store") : tr("load"), dot, Ink::Text};
          },
          [](const DeviceAccess&) {
            return EventFamily{tr("device"), dot, Ink::Hardware};
          },
          [](const InterruptRequested&) {
            return EventFamily{tr("interrupt"), up, Ink::Hardware};
          },
          [](const InterruptAcknowledged&) {
            return EventFamily{tr("interrupt"), down, Ink::Hardware};
          },
          [](const InterruptEnded&) {
            return EventFamily{tr("interrupt"), hit_sign(true), Ink::Hardware};
          },
          [](const ConsoleOutput&) {
            return EventFamily{tr("console"), dot, Ink::Muted};
          },
          [](const LessonMark&) {
            return EventFamily{tr("mark"), QStringLiteral("◆"), Ink::Notice};
          },
          [](const MachineStopped& stop) {
            return EventFamily{tr("stop"), QStringLiteral("■"), hit_ink(ended_well({stop.reason, stop.code}))};
          },
      },
      event.payload);
}

// --- registers
// --------------------------------------------------------------------------------------------------------

std::vector<Column> register_columns() {
  return {{QString(), 2}, {tr("register"), 8}, {tr("the guest believes"), 22}, {tr("the hardware holds"), 0}};
}

namespace {

Row heading_row(std::string_view text, Ink ink) {
  Row row;
  row.cells = {Cell{}, words(text_of(text), ink, true)};
  row.key = ~std::uint64_t{0};
  return row;
}

/// A register's decoded fields as they stand beside it: without flags that are clear.
QString fields_in_line(const std::string& note) {
  static const QRegularExpression clear(QStringLiteral("\\b\\w+=0(?!\\w)(?! \\()[ ,]*"));
  return QString::fromStdString(note).remove(clear).trimmed();
}

/// All of them, one on each line.
QString fields_in_lines(const std::string& note) {
  static const QRegularExpression next(QStringLiteral(",? (?=\\w+=)"));
  return QString::fromStdString(note).replace(next, QStringLiteral("\n"));
}

Row register_row(const RegisterRow& now, const RegisterRow* before) {
  const bool changed = before != nullptr && (before->believed != now.believed || before->real != now.real);
  QString real = hex_padded(now.real, now.bits);
  if (!now.note.empty()) real += QStringLiteral("  ") + fields_in_line(now.note);
  Row row;
  row.cells = {sign(differs(now) ? QStringLiteral("●")
                    : changed    ? QStringLiteral("▸")
                                 : QString(),
                    differs(now) ? Ink::Notice : Ink::GuestUser),
               mono(text_of(now.name), Ink::Muted, changed),
               mono(hex_padded(now.believed, now.bits), Ink::Text, changed),
               mono(real, differs(now) ? Ink::Vmm : Ink::Text, changed && !differs(now))};
  if (differs(now)) row.tint = Ink::Notice;
  row.tooltip = text_of(now.name);
  if (differs(now))
    row.tooltip += tr(": the guest believes %1, the hardware holds %2").arg(hex(now.believed), hex(now.real));
  if (changed) row.tooltip += tr("\nchanged in this step; before it was %1").arg(hex(before->believed));
  if (!now.note.empty()) row.tooltip += QStringLiteral("\n") + fields_in_lines(now.note);
  return row;
}

/// Indices of registers in the order to show them.
std::vector<std::size_t> essential_order(const std::vector<RegisterRow>& registers, const Isa* isa) {
  const auto names = isa == nullptr ? std::span<const std::string_view>() : isa->essential_registers();
  const auto place = [&](const RegisterRow& row) {
    return std::find(names.begin(), names.end(), row.name) - names.begin();
  };
  const auto last = static_cast<std::ptrdiff_t>(names.size());
  std::vector<std::size_t> order;
  for (std::size_t index = 0; index < registers.size(); ++index) {
    if (place(registers[index]) != last || differs(registers[index])) order.push_back(index);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return place(registers[a]) < place(registers[b]); });
  return order;
}

/// All, with what belongs to one group together.
std::vector<std::size_t> grouped_order(const std::vector<RegisterRow>& registers) {
  std::vector<std::string_view> groups;
  for (const RegisterRow& row : registers) {
    if (std::find(groups.begin(), groups.end(), row.group) == groups.end()) groups.push_back(row.group);
  }
  std::vector<std::size_t> order;
  for (const std::string_view group : groups) {
    for (std::size_t index = 0; index < registers.size(); ++index) {
      if (registers[index].group == group) order.push_back(index);
    }
  }
  return order;
}

}  // namespace

QString end_words(const Stop& stop) {
  if (stop.reason == StopReason::PowerOff) return tr("ended: it switched the machine off");
  if (stop.reason == StopReason::Reset) return tr("failed: it asked for a restart");
  return tr("ended: %1, code %2").arg(text_of(name_of(stop.reason))).arg(stop.code);
}

std::vector<Row> register_rows(const MachineView& view, RegisterChoice choice, std::optional<unsigned> cpu) {
  const bool of_cpu = cpu && *cpu < view.cpus.size();
  const std::vector<RegisterRow>& now = of_cpu ? view.cpus[*cpu].registers : view.registers;
  const std::vector<RegisterRow>& before = of_cpu ? view.cpus[*cpu].registers_before : view.registers_before;
  const bool all = choice == RegisterChoice::All;
  std::vector<Row> rows;
  std::string_view group;
  for (const std::size_t index : all ? grouped_order(now) : essential_order(now, view.isa)) {
    if (all && now[index].group != group) rows.push_back(heading_row(group = now[index].group, Ink::Hardware));
    const bool comparable = index < before.size() && before[index].name == now[index].name;
    rows.push_back(register_row(now[index], comparable ? &before[index] : nullptr));
    rows.back().key = index;
  }
  return rows;
}

// --- control structure
// ------------------------------------------------------------------------------------------------

std::vector<Column> control_columns() {
  return {{QString(), 2}, {tr("field"), 34}, {tr("encoding"), 9}, {tr("value"), 0}};
}

std::vector<Row> control_rows(const MachineView& view) {
  std::map<std::uint32_t, std::uint64_t> before;
  for (const ControlFieldRow& field : view.control_before) before[field.encoding] = field.value;
  std::vector<Row> rows;
  std::string_view area;
  for (const ControlFieldRow& field : view.control) {
    if (field.area != area) {
      rows.push_back(heading_row(area = field.area, Ink::Vmm));
    }
    const auto old = before.find(field.encoding);
    const bool changed = old != before.end() && old->second != field.value;
    // A control structure that is made of registers: what their fields mean, the registers say.
    const auto same = std::find_if(view.registers.begin(), view.registers.end(),
                                   [&](const RegisterRow& row) { return row.name == field.name; });
    const std::string note = same == view.registers.end() ? std::string() : same->note;
    Row row;
    row.cells = {sign(changed ? QStringLiteral("▸") : QString(), Ink::GuestUser),
                 words(text_of(field.name), Ink::Text, changed), mono(hex_padded(field.encoding, 16), Ink::Muted),
                 mono(note.empty() ? hex(field.value) : hex(field.value) + QStringLiteral("  ") + fields_in_line(note),
                      Ink::Text, changed)};
    row.tooltip = text_of(field.name);
    if (changed) row.tooltip += tr("\nchanged in this step; before it was %1").arg(hex(old->second));
    if (!note.empty()) row.tooltip += QStringLiteral("\n") + fields_in_lines(note);
    row.key = field.encoding;
    rows.push_back(std::move(row));
  }
  return rows;
}

// --- the events of a step
// ---------------------------------------------------------------------------------------------

std::vector<Column> event_columns() { return {{QString(), 3}, {tr("part"), 9}, {tr("what happened"), 0}}; }

std::vector<Row> event_rows(const Moment& moment) {
  std::vector<Row> rows;
  const std::vector<Event>& events = moment.machine->events;
  for (std::size_t index = 0; index < events.size(); ++index) {
    if (!is_shown(events[index], moment.detail) && index != moment.cursor) continue;
    const EventFamily family = family_of(events[index]);
    const bool lit = index == moment.cursor;
    const bool still_to_come = index >= moment.happened();
    const QString sentence = QString::fromStdString(narrate(events[index]));
    Row row;
    row.cells = {sign(lit ? QStringLiteral("▶") : family.sign, still_to_come ? Ink::Muted : family.ink),
                 words(family.word, still_to_come ? Ink::Muted : family.ink, true),
                 mono(sentence, still_to_come ? Ink::Muted : Ink::Text)};
    if (lit) row.tint = ink_of(role_of(events[index].actor));
    row.tooltip = sentence;
    if (index < moment.machine->entries.size() && !moment.machine->entries[index].empty()) {
      row.tooltip += QStringLiteral("\n") + QString::fromStdString(moment.machine->entries[index]);
    }
    if (events[index].cycles != 0) row.tooltip += tr("\n%1 cycles charged").arg(grouped(events[index].cycles));
    row.key = index;
    rows.push_back(std::move(row));
  }
  return rows;
}

// --- code
// -------------------------------------------------------------------------------------------------------------

std::vector<Column> code_columns() { return {{QString(), 5}, {tr("place"), 18}, {tr("code"), 0}}; }

namespace {

QString gutter(bool breakpoint, bool here) {
  return (breakpoint ? QStringLiteral("●") : QStringLiteral(" ")) + (here ? QStringLiteral(" ▶") : QString());
}

QString class_words(InstructionClass classification) { return text_of(name_of(classification)); }

}  // namespace

std::vector<Row> disassembly_rows(const MachineView& view) {
  std::vector<Row> rows;
  for (const DisassembledInstruction& instruction : view.disassembly) {
    const bool here = instruction.address == view.pc;
    const bool breakpoint = view.breakpoints.count(instruction.address.value) != 0;
    const bool innocuous = instruction.classification == InstructionClass::Innocuous;
    Row row;
    row.cells = {mono(gutter(breakpoint, here), breakpoint ? Ink::Bad : ink_of(role_of(view.actor)), true),
                 mono(hex(instruction.address.value), Ink::Muted),
                 mono(QString::fromStdString(instruction.text), innocuous ? Ink::Text : Ink::Vmm, here || !innocuous)};
    if (here) row.tint = ink_of(role_of(view.actor));
    row.tooltip = class_words(instruction.classification);
    row.key = instruction.address.value;
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<Row> source_rows(const MachineView& view) {
  std::vector<Row> rows;
  if (view.source.text == nullptr || view.source.lines == nullptr) return rows;
  std::set<unsigned> broken;
  for (const std::uint64_t address : view.breakpoints) {
    const auto location = view.source.lines->at(address);
    if (location && location->file == view.source.file) broken.insert(location->line);
  }
  unsigned number = 0;
  for (const std::string& text : *view.source.text) {
    ++number;
    const bool here = number == view.source.line;
    QString line = QString::fromStdString(text);
    line.replace(QLatin1Char('\t'), QStringLiteral("    "));
    const QString trimmed = line.trimmed();
    const bool comment = trimmed.startsWith(QLatin1String("//")) || trimmed.startsWith(QLatin1Char('#')) ||
                         trimmed.startsWith(QLatin1Char(';'));
    Row row;
    row.cells = {mono(gutter(broken.count(number) != 0, here),
                      broken.count(number) != 0 ? Ink::Bad : ink_of(role_of(view.actor)), true),
                 right(QString::number(number), Ink::Muted), mono(line, comment ? Ink::Muted : Ink::Text, here)};
    if (here) row.tint = ink_of(role_of(view.actor));
    row.key = number;
    rows.push_back(std::move(row));
  }
  return rows;
}

// --- translations
// -----------------------------------------------------------------------------------------------------

std::vector<Column> structure_columns() { return {{QString(), 1}, {tr("structure"), 16}, {tr("held"), 0}}; }

std::vector<Row> structure_rows(const MachineView& view) {
  std::vector<Row> rows;
  const auto add = [&](const QString& name, const QString& held, const QString& mark = {}, Ink ink = Ink::Text) {
    Row row;
    row.cells = {sign(mark, ink), words(name), right(held, Ink::Muted)};
    row.key = rows.size();
    rows.push_back(std::move(row));
  };
  for (const TlbView& tlb : view.tlbs) {
    std::optional<bool> hit;
    for (const Event& event : view.events) {
      const auto* lookup = std::get_if<TlbLookup>(&event.payload);
      if (lookup != nullptr && lookup->structure == tlb.name) hit = lookup->hit;
    }
    add(QString::fromStdString(tlb.name), QStringLiteral("%1/%2").arg(tlb.valid.size()).arg(tlb.entries),
        hit ? hit_sign(*hit) : QString(), hit ? hit_ink(*hit) : Ink::Text);
  }
  add(tr("page-walk caches"), QString::number(view.walk_caches.size()));
  if (view.caches.tft.empty()) return rows;
  const auto valid =
      std::count_if(view.caches.tft.begin(), view.caches.tft.end(), [](const auto& entry) { return entry.valid != 0; });
  add(QStringLiteral("TFT"), QStringLiteral("%1/%2").arg(valid).arg(view.caches.tft.size()));
  return rows;
}

std::vector<Column> tlb_columns() {
  return {{QString(), 3},  {tr("set·way"), 8}, {tr("page"), 19}, {tr("frame"), 14},
          {tr("size"), 6}, {tr("space"), 6},   {tr("VM"), 4},    {tr("flags"), 0}};
}

namespace {

struct SlotUse {
  QString sign;
  Ink ink;
};

/// What the shown step did with each slot of one TLB.
std::map<std::pair<unsigned, unsigned>, SlotUse> slot_uses(const MachineView& view, const std::string& structure) {
  std::map<std::pair<unsigned, unsigned>, SlotUse> uses;
  for (const Event& event : view.events) {
    if (const auto* lookup = std::get_if<TlbLookup>(&event.payload);
        lookup != nullptr && lookup->hit && lookup->structure == structure) {
      uses.emplace(std::pair<unsigned, unsigned>(lookup->set, lookup->way), SlotUse{QStringLiteral("✓"), Ink::Good});
    }
    if (const auto* fill = std::get_if<TlbFill>(&event.payload); fill != nullptr && fill->structure == structure) {
      uses.insert_or_assign(std::pair<unsigned, unsigned>(fill->set, fill->way),
                            SlotUse{QStringLiteral("+"), Ink::GuestUser});
    }
  }
  return uses;
}

std::vector<Row> walk_cache_rows(const MachineView& view) {
  std::vector<Row> rows;
  for (const WalkCacheEntry& entry : view.walk_caches) {
    Row row;
    row.cells = {Cell{},
                 mono(tr("level %1").arg(entry.level), Ink::Muted),
                 mono(hex(entry.address_bits << walk_cache_shift(entry.level))),
                 mono(hex(entry.table_physical.value)),
                 mono(tr("table"), Ink::Muted),
                 right(QString::number(entry.tag.address_space)),
                 right(QString::number(entry.tag.virtual_machine)),
                 mono(tr("entry %1").arg(hex(entry.raw_entry)), Ink::Muted)};
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<Row> tft_rows(const MachineView& view) {
  std::vector<Row> rows;
  for (std::size_t index = 0; index < view.caches.tft.size(); ++index) {
    const TranslationFilterTable::Entry& entry = view.caches.tft[index];
    if (entry.valid == 0) continue;
    Row row;
    row.cells = {Cell{}, right(QString::number(index), Ink::Muted), mono(hex(entry.region << 21)), Cell{},
                 mono(QStringLiteral("2 MB"), Ink::Seesaw)};
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

std::vector<Row> tlb_rows(const MachineView& view, std::size_t structure) {
  if (structure == view.tlbs.size()) return walk_cache_rows(view);
  if (structure > view.tlbs.size()) return tft_rows(view);
  const TlbView& tlb = view.tlbs[structure];
  const auto uses = slot_uses(view, tlb.name);
  std::vector<Row> rows;
  for (const TlbSlotView& slot : tlb.valid) {
    const auto use = uses.find({slot.set, slot.way});
    Row row;
    row.cells = {use == uses.end() ? Cell{} : sign(use->second.sign, use->second.ink),
                 mono(QStringLiteral("%1·%2").arg(slot.set).arg(slot.way), Ink::Muted),
                 mono(hex(slot.entry.page.value)),
                 mono(hex(slot.entry.frame.value)),
                 mono(text_of(name_of(slot.entry.size)), Ink::Muted),
                 right(QString::number(slot.entry.tag.address_space)),
                 right(QString::number(slot.entry.tag.virtual_machine)),
                 mono(slot.entry.global ? tr("global") : QString(), Ink::Muted)};
    if (use != uses.end()) row.tint = use->second.ink;
    row.tooltip = tr("%1: %2 to %3, guest-physical %4, permissions %5")
                      .arg(QString::fromStdString(tlb.name), hex(slot.entry.page.value), hex(slot.entry.frame.value),
                           hex(slot.entry.guest_frame.value), hex(slot.entry.permissions));
    row.key = slot.entry.page.value;
    rows.push_back(std::move(row));
  }
  return rows;
}

// --- memory
// -----------------------------------------------------------------------------------------------------------

std::vector<Column> memory_columns() { return {{tr("address"), 19}, {tr("bytes"), 51}, {tr("text"), 0}}; }

std::vector<Row> memory_rows(const MemoryWindow& window, const MemoryWindow* before, std::size_t row_bytes) {
  std::vector<Row> rows;
  for (std::size_t first = 0; first < window.bytes.size(); first += row_bytes) {
    const std::size_t count = std::min(row_bytes, window.bytes.size() - first);
    QString bytes;
    QString text;
    bool changed = false;
    for (std::size_t offset = 0; offset < count; ++offset) {
      const std::uint8_t byte = window.bytes[first + offset];
      if (offset != 0) bytes += offset % 8 == 0 ? QStringLiteral("  ") : QStringLiteral(" ");
      bytes += QStringLiteral("%1").arg(byte, 2, 16, QLatin1Char('0'));
      text += byte >= 0x20 && byte < 0x7f ? QChar(byte) : QChar(u'·');
      const bool comparable = before != nullptr && before->space == window.space && before->address == window.address;
      changed =
          changed || (comparable && first + offset < before->bytes.size() && before->bytes[first + offset] != byte);
    }
    Row row;
    row.cells = {mono(hex(window.address + first), Ink::Muted), mono(bytes, Ink::Text, changed),
                 mono(text, Ink::Muted)};
    if (changed) row.tint = Ink::GuestUser;
    if (changed) row.tooltip = tr("changed in this step");
    row.key = window.address + first;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace shearling::gui
