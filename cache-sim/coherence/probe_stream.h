// SPDX-License-Identifier: GPL-3.0-or-later
//
// What one core of several sees: its own references, and between them the coherence probes that reach its first-level
// cache because of what the other cores do. So a simulation of one core can be driven by probes that come when, and to
// the lines that, a real protocol would send them (the SEESAW paper's Figure 11 needs such a stream).
// The cores take turns, one record each. Probes follow from what the observed core's cache holds: the simulation that
// reads the stream should have the same first-level cache as `system.l1d`. Instruction fetches are passed on but not
// shared; pages do not change size; superpages always hit the translation filter table of the cores beside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cache-sim/coherence/coherent_system.h"
#include "cache-sim/streams/page_map.h"
#include "cache-sim/streams/record_buffer.h"
#include "cache-sim/streams/reference_stream.h"

namespace shearling {

struct ProbeStreamConfig {
  CoherentSystemConfig system;
  PageMapConfig pages;    ///< For references that come without a translation. Address spaces tell programs apart.
  unsigned observed = 0;  ///< The core whose view the stream is.
};
/// Why there can be no such stream, in one sentence; empty if there can.
[[nodiscard]] std::string problem_of(const ProbeStreamConfig& config);

/// Yields the observed core's records, translated, and a CoherenceRead or CoherenceInvalidate (`physical`: the line)
/// for each probe that reaches it. A reference that crosses a page comes as two. Ends with the observed core's stream;
/// others may end before.
class ProbeStream final : public ReferenceStream, private CoherenceObserver {
 public:
  /// `config` has no problem_of(); `cores` is one stream for each core.
  ProbeStream(ProbeStreamConfig config, std::vector<std::unique_ptr<ReferenceStream>> cores);

  std::size_t read(std::span<ReferenceRecord> batch) override;
  [[nodiscard]] const StreamError* error() const override { return error_ ? &*error_ : nullptr; }
  [[nodiscard]] double progress() const override { return sources_[config_.observed].stream().progress(); }
  [[nodiscard]] const CoherentSystem& system() const { return system_; }

 private:
  void sent(CoherenceMessage, CoherenceNode, CoherenceNode, PhysicalAddress) override {}
  void probed(unsigned core, PhysicalAddress line, CoherenceEvent event, CoherenceState before) override;
  void take_turns();
  std::optional<ReferenceRecord> next_record(unsigned core);
  void take(unsigned core, ReferenceRecord record);
  void refer(unsigned core, const ReferenceRecord& record);

  ProbeStreamConfig config_;
  CoherentSystem system_;
  PageMap pages_;
  std::vector<RecordReader> sources_;
  RecordQueue ready_;  ///< What one turn gave.
  std::optional<StreamError> error_;
};

/// Threads of one program, one a core: each has data of its own, and all share some. A stand-in for multithreaded
/// programs; none of its figures is measured on one.
struct MulticoreConfig {
  unsigned cores = 4;
  std::uint64_t references = 1'000'000;  ///< Of each core; 0: without end.
  std::uint64_t private_bytes = std::uint64_t{1} << 20;
  std::uint64_t shared_bytes = std::uint64_t{1} << 20;
  double sharing = 0.2;  ///< 0 to 1: share of references that go to the shared data.
  double writes = 0.3;   ///< 0 to 1: share of references that write.
  unsigned run = 8;      ///< References in a row to neighbouring 8-byte words.
  unsigned skew = 3;     ///< A run starts at size x u^skew, u even in 0 to 1. 1: anywhere; more: mostly near the start.
  std::uint64_t seed = 1;
};
[[nodiscard]] std::string problem_of(const MulticoreConfig& config);
/// The references of one of its cores, without translation. `config` has no problem_of().
[[nodiscard]] std::unique_ptr<ReferenceStream> thread_stream(const MulticoreConfig& config, unsigned core);
/// One for each core: what ProbeStream wants.
[[nodiscard]] std::vector<std::unique_ptr<ReferenceStream>> thread_streams(const MulticoreConfig& config);

}  // namespace shearling
