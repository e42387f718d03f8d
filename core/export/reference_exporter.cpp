// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/reference_exporter.h"

#include <array>
#include <charconv>

namespace shearling {

namespace {

RecordKind record_kind(AccessKind kind) {
  static constexpr std::array<RecordKind, 3> kKinds{RecordKind::Fetch, RecordKind::Read, RecordKind::Write};
  return kKinds[static_cast<std::size_t>(kind)];
}

std::string hexadecimal(std::uint64_t value) {
  std::array<char, 16> digits{};
  const auto [end, problem] = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return {digits.data(), end};
}

}  // namespace

ReferenceExporter::ReferenceExporter(std::ostream& out, ExportFormat format) : out_(out), format_(format) {
  if (format == ExportFormat::Trace) trace_.emplace(out);
}

void ReferenceExporter::on_event(const Event& event) {
  const auto& payload = event.payload;
  if (const auto* fetch = std::get_if<InstructionFetched>(&payload)) {
    return begin(
        event,
        {.address = fetch->pc, .physical = fetch->physical_address, .size = fetch->length, .kind = RecordKind::Fetch},
        fetch->address_space);
  }
  if (const auto* access = std::get_if<MemoryAccess>(&payload)) {
    return begin(event,
                 {.address = access->virtual_address,
                  .physical = access->physical_address,
                  .size = access->size,
                  .kind = record_kind(access->access)},
                 access->address_space);
  }
  if (const auto* lookup = std::get_if<CacheLookup>(&payload)) return complete(*lookup);
  if (const auto* invalidation = std::get_if<TlbInvalidate>(&payload)) return invalidate(event, *invalidation);
}

void ReferenceExporter::begin(const Event& event, ReferenceRecord record, std::uint16_t address_space) {
  flush();
  if (record.size == 0) return;  // bytes that are no instruction
  switch_to(event, address_space);
  record.translated = true;
  record.core = static_cast<std::uint8_t>(event.vcpu);
  record.address_space = running_[event.vcpu];
  pending_ = record;
}

void ReferenceExporter::switch_to(const Event& event, std::uint16_t address_space) {
  const auto [known, first] = numbers_.try_emplace(address_space, next_number_);
  if (first) ++next_number_;
  std::uint16_t& running = running_[event.vcpu];
  if (known->second == running) return;
  running = known->second;
  write({.kind = RecordKind::ContextSwitch, .core = static_cast<std::uint8_t>(event.vcpu), .address_space = running});
}

// The lookups of a reference follow it, one for each line. Where an instruction crosses into another page, the lookup
// there is the only one who knows where that page lies.
void ReferenceExporter::complete(const CacheLookup& lookup) {
  if (!pending_ || lookup.walk) return;
  const std::uint64_t into = lookup.virtual_address.value - pending_->address.value;
  if (into == 0) pending_->page_size = lookup.page_size;
  if (into == 0 || into >= pending_->size || lookup.virtual_address.value % kFrameBytes != 0) return;
  ReferenceRecord second = *pending_;
  pending_->size = static_cast<std::uint32_t>(into);
  flush();
  second.address = lookup.virtual_address;
  second.physical = lookup.physical_address;
  second.size -= static_cast<std::uint32_t>(into);
  second.page_size = lookup.page_size;
  pending_ = second;
}

void ReferenceExporter::invalidate(const Event& event, const TlbInvalidate& invalidation) {
  flush();
  if (invalidation.scope != InvalidationScope::Address) return numbers_.clear();
  write({.address = invalidation.address,
         .kind = RecordKind::InvalidatePage,
         .core = static_cast<std::uint8_t>(event.vcpu),
         .address_space = running_[event.vcpu]});
}

void ReferenceExporter::flush() {
  if (pending_) write(*pending_);
  pending_.reset();
}

void ReferenceExporter::write(const ReferenceRecord& record) {
  static constexpr std::array<char, 4> kLabels{'2', '0', '1', '0'}, kLetters{'i', 'r', 'w', 'r'};
  if (trace_) return trace_->write(record);
  if (!is_reference(record.kind)) return;
  const bool sizes = format_ == ExportFormat::ExtendedDin;
  out_ << (sizes ? kLetters : kLabels)[static_cast<std::size_t>(record.kind)] << ' '
       << hexadecimal(record.address.value);
  if (sizes) out_ << ' ' << hexadecimal(record.size);
  out_ << '\n';
}

void ReferenceExporter::finish(StepIndex) {
  flush();
  if (trace_) trace_->finish();
}

}  // namespace shearling
