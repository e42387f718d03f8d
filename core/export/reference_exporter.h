// SPDX-License-Identifier: GPL-3.0-or-later
//
// A guest's memory references as a trace for cache simulators: instruction fetches and the program's loads and stores,
// with the translations that the machine used; references of the page walker are left out, since whoever simulates the
// trace walks for himself. `trace` keeps everything (docs/trace-format.md), `din` and `xdin` (Dinero's) keep virtual
// addresses of references alone. Address spaces are numbered in the order of their first reference. An invalidation of
// one page becomes InvalidatePage; after a wider one every address space gets a new number with its next reference,
// which has the same effect on a TLB as dropping them all: more than the guest asked for where it keeps global pages or
// other address spaces.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <ostream>

#include "cache-sim/streams/reference_stream.h"
#include "cache-sim/streams/trace_writer.h"
#include "core/export/exporter.h"

namespace shearling {

class ReferenceExporter : public Exporter {
 public:
  /// `format` is Trace, Din or ExtendedDin.
  ReferenceExporter(std::ostream& out, ExportFormat format);
  void on_event(const Event& event) override;
  void interval(const RunInterval&) override {}
  void finish(StepIndex end) override;

 private:
  /// `record` has the kind, the address, where that lies and the size.
  void begin(const Event& event, ReferenceRecord record, std::uint16_t address_space);
  void complete(const CacheLookup& lookup);
  void invalidate(const Event& event, const TlbInvalidate& invalidation);
  void switch_to(const Event& event, std::uint16_t address_space);
  void flush();
  void write(const ReferenceRecord& record);

  std::ostream& out_;
  ExportFormat format_;
  std::optional<TraceWriter> trace_;
  /// The latest reference: the cache lookup behind it tells its page size.
  std::optional<ReferenceRecord> pending_;
  std::map<std::uint16_t, std::uint16_t> numbers_;  ///< Of the machine's address spaces, in the trace.
  std::uint16_t next_number_ = 0;
  std::map<std::uint16_t, std::uint16_t> running_;  ///< In the trace, by core.
};

}  // namespace shearling
