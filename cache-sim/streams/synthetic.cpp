// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/streams/synthetic.h"

#include <algorithm>

#include "cache-sim/streams/patterns.h"
#include "cache-sim/streams/record_buffer.h"
#include "cache-sim/streams/synthetic_parameters.h"
#include "cache-sim/streams/workloads.h"

namespace shearling {

namespace {

// Where things lie, in every address space alike.
constexpr std::uint64_t kCodeBase = 0x400000, kDataBase = 0x1000000000;
constexpr std::uint64_t kRegion = std::uint64_t{1} << 21;

/// Instructions: loops of 8 to 64 instructions of 4 bytes, each gone through 1 to 15 times; which loop comes next
/// follows Zipf's law, exponent 1, over blocks of 256 bytes that lie scattered over the code.
class InstructionStream {
 public:
  InstructionStream(std::uint64_t code, std::uint64_t seed)
      : code_(code), places_(code / kBlock, mixed(seed, 1)), popular_(code / kBlock, 1), random_(mixed(seed, 2)) {}
  std::uint64_t next() {
    if (at_ == length_) {
      at_ = 0;
      if (rounds_left_-- == 0) begin_loop();
    }
    return kCodeBase + (first_ + at_++ * 4) % code_;
  }

 private:
  static constexpr std::uint64_t kBlock = 256;
  void begin_loop() {
    first_ = places_(popular_(random_)) * kBlock;
    length_ = 8 + random_.below(57);
    rounds_left_ = random_.below(15);
  }
  std::uint64_t code_;
  Scatter places_;
  SkewedRank popular_;
  RandomSequence random_;
  std::uint64_t first_ = 0, at_ = 0, length_ = 0, rounds_left_ = 0;
};

/// What is used all the time: pieces of 512 bytes that lie all over the footprint, visited in runs of 1 to 16 words.
class HotSet {
 public:
  HotSet(std::uint64_t size, std::uint64_t footprint, double writes, std::uint64_t seed)
      : pieces_(std::max<std::uint64_t>(1, std::min(size, footprint) / kPiece)),
        places_(footprint / kPiece, mixed(seed, 1)),
        random_(mixed(seed, 2)),
        write_(chance_of(writes)) {}
  DataReference next() {
    if (run_left_ == 0) {
      run_left_ = 1 + random_.below(16);
      piece_ = places_(random_.below(pieces_)) * kPiece;
      word_ = random_.below(kPiece / 8);
    }
    --run_left_;
    word_ = (word_ + 1) % (kPiece / 8);
    return {piece_ + word_ * 8, 8, random_.chance(write_)};
  }

 private:
  static constexpr std::uint64_t kPiece = 512;
  std::uint64_t pieces_;
  Scatter places_;
  RandomSequence random_;
  std::uint64_t write_;
  std::uint64_t run_left_ = 0, piece_ = 0, word_ = 0;
};

/// One address space.
struct Program {
  std::unique_ptr<Pattern> pattern;
  HotSet hot;
  InstructionStream instructions;
  double fetches_due = 0;
};

class SyntheticStream final : public ReferenceStream {
 public:
  explicit SyntheticStream(const ParsedSpecification& parsed)
      : parameters_(parsed.parameters),
        count_(parameters_.whole(Parameter::Count)),
        hot_(chance_of(parameters_[Parameter::Hot])),
        mixer_(mixed(seed(), kMixer)),
        events_(mixed(seed(), kEvents)) {
    const bool alone = parameters_[Parameter::Switches] == 0;
    const std::uint64_t spaces = alone ? 1 : parameters_.whole(Parameter::Spaces);
    for (std::uint64_t space = 0; space < spaces; ++space) programs_.push_back(make_program(*parsed.generator, space));
    set_event_thresholds();
    pages_.superpage_share = parameters_[Parameter::Superpages];
    pages_.fragmentation = parameters_[Parameter::Fragmentation];
    pages_.seed = seed();
    pages_.base_pages = {{{kCodeBase}, {kCodeBase + parameters_.whole(Parameter::Code) - 1}}};
  }

  std::size_t read(std::span<ReferenceRecord> batch) override {
    return pending_.fill(batch, [this] { return produce(); });
  }
  [[nodiscard]] double progress() const override {
    return static_cast<double>(data_references_) / static_cast<double>(count_);
  }
  [[nodiscard]] const PageMapConfig* suggested_pages() const override { return &pages_; }

 private:
  enum Purpose : std::uint64_t { kMixer = 1, kEvents, kPattern, kHot, kInstructions };
  static constexpr std::size_t kRemembered = 4096;  ///< Data references that a probe may mean.

  [[nodiscard]] std::uint64_t seed() const { return parameters_.whole(Parameter::Seed); }
  [[nodiscard]] Program make_program(const Generator& generator, std::uint64_t space) const {
    const std::uint64_t own = mixed(seed(), 100 + space);
    return {generator.make(parameters_, space, mixed(own, kPattern)),
            HotSet(parameters_.whole(Parameter::HotSize), parameters_.whole(Parameter::Footprint),
                   parameters_[Parameter::Writes], mixed(own, kHot)),
            InstructionStream(parameters_.whole(Parameter::Code), mixed(own, kInstructions))};
  }
  void set_event_thresholds() {
    const double probe = parameters_[Parameter::Probes] / 1e3;
    const double context_switch = probe + parameters_[Parameter::Switches] / 1e6;
    const double remap = context_switch + parameters_[Parameter::Remaps] / 1e6;
    probe_below_ = chance_of(std::min(1.0, probe));
    switch_below_ = chance_of(std::min(1.0, context_switch));
    remap_below_ = chance_of(std::min(1.0, remap));
    invalidation_ = chance_of(parameters_[Parameter::Invalidations]);
  }

  /// One step of the pattern with all that comes between. False: the stream is over.
  bool produce() {
    if (data_references_ == count_) return false;
    if (switch_due_) switch_context();
    Program& program = programs_[space_];
    step_.clear();
    program.pattern->step(step_);
    for (const DataReference& reference : step_) {
      while (mixer_.chance(hot_)) {
        if (!emit(program, program.hot.next())) return true;
      }
      recent_[recent_count_++ % kRemembered] = {kDataBase + reference.offset, static_cast<std::uint16_t>(space_)};
      if (!emit(program, reference)) return true;
    }
    return true;
  }
  /// False: that was the last one.
  bool emit(Program& program, const DataReference& reference) {
    program.fetches_due += parameters_[Parameter::Fetches];
    for (; program.fetches_due >= 1; program.fetches_due -= 1) push(RecordKind::Fetch, program.instructions.next(), 4);
    push(reference.write ? RecordKind::Write : RecordKind::Read, kDataBase + reference.offset, reference.size);
    ++data_references_;
    if (remap_below_ != 0) emit_event();
    return data_references_ != count_;
  }
  void push(RecordKind kind, std::uint64_t address, std::uint32_t size) {
    ReferenceRecord& record = pending_.add();
    record.address = {address};
    record.size = size;
    record.kind = kind;
    record.address_space = static_cast<std::uint16_t>(space_);
  }
  void emit_event() {
    const std::uint64_t draw = events_.bits() >> 32;
    if (draw >= remap_below_) return;
    if (draw < probe_below_) return probe();
    if (draw >= switch_below_) return remap();
    switch_due_ = true;
  }
  void probe() {
    if (recent_count_ == 0) return;
    const Recent& recent = recent_[events_.below(std::min<std::uint64_t>(recent_count_, kRemembered))];
    const bool invalidation = events_.chance(invalidation_);
    push(invalidation ? RecordKind::CoherenceInvalidate : RecordKind::CoherenceRead, recent.address, 1);
    pending_.last().address_space = recent.address_space;
  }
  /// Between two steps of the pattern.
  void switch_context() {
    space_ = (space_ + 1) % programs_.size();
    switch_due_ = false;
    push(RecordKind::ContextSwitch, 0, 1);
    pending_.last().address_space = static_cast<std::uint16_t>(space_);
  }
  void remap() {
    if (splintered_ == kNone) {
      splintered_ = kDataBase + events_.below(parameters_.whole(Parameter::Footprint) / kRegion + 1) * kRegion;
      push(RecordKind::Splinter, splintered_, 1);
    } else {
      push(RecordKind::Promote, splintered_, 1);
      splintered_ = kNone;
    }
  }

  struct Recent {
    std::uint64_t address = 0;
    std::uint16_t address_space = 0;
  };
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  SyntheticParameters parameters_;
  std::uint64_t count_;
  std::uint64_t hot_;
  std::uint64_t probe_below_ = 0, switch_below_ = 0, remap_below_ = 0, invalidation_ = 0;
  RandomSequence mixer_, events_;
  std::vector<Program> programs_;
  PageMapConfig pages_;
  std::vector<DataReference> step_;
  RecordQueue pending_;
  std::size_t space_ = 0;
  bool switch_due_ = false;
  std::uint64_t data_references_ = 0;
  std::array<Recent, kRemembered> recent_{};
  std::uint64_t recent_count_ = 0;
  std::uint64_t splintered_ = kNone;  ///< The region that the next remap promotes.
};

}  // namespace

OpenedStream make_synthetic_stream(const std::string& specification) {
  const auto parsed = parse_specification(specification);
  if (const auto* error = std::get_if<StreamError>(&parsed)) return *error;
  return OpenedStream(std::make_unique<SyntheticStream>(std::get<ParsedSpecification>(parsed)));
}

const std::vector<GeneratorDescription>& generators() {
  static const std::vector<GeneratorDescription> kDescriptions = [] {
    std::vector<GeneratorDescription> descriptions;
    for (const Generator& generator : generator_table())
      descriptions.push_back(
          {std::string(generator.name), std::string(generator.description), describe_parameters(generator)});
    return descriptions;
  }();
  return kDescriptions;
}

const std::vector<WorkloadDescription>& workloads() {
  static const std::vector<WorkloadDescription> kDescriptions = [] {
    std::vector<WorkloadDescription> descriptions;
    for (const Workload& workload : workload_table()) {
      descriptions.push_back({std::string(workload.name), std::string(workload.program),
                              std::string(workload.generator), std::string(workload.settings),
                              std::string(workload.reason), workload.superpages});
    }
    return descriptions;
  }();
  return kDescriptions;
}

}  // namespace shearling
