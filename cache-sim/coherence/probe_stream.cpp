// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/coherence/probe_stream.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "cache-sim/streams/deterministic_random.h"

namespace shearling {

namespace {

constexpr unsigned kRegionShift = 36;  // Each thread's data and the shared data lie 64 GB apart.
// The shared data begin seven superpages later, or their first one and each thread's would be one entry of a filter
// table that is indexed by the lowest bits of a superpage's number.
constexpr std::uint64_t kSharedOffset = std::uint64_t{7} << 21;
constexpr std::uint64_t kWord = 8;

bool is_share(double value) { return value >= 0 && value <= 1; }

AccessKind access_of(RecordKind kind) { return kind == RecordKind::Read ? AccessKind::Read : AccessKind::Write; }

StreamError unusable(unsigned core, const char* what) {
  return {.source = "the stream of core " + std::to_string(core),
          .line = 0,
          .byte = 0,
          .message = std::string("has a record that ") + what + ", which several cores together cannot take",
          .remedy = "leave such records out"};
}

/// Why a record has no place in a stream of one of several cores; null where it has.
const char* refusal(RecordKind kind) {
  switch (kind) {
    case RecordKind::Splinter:
      return "splinters a page";
    case RecordKind::Promote:
      return "promotes a page";
    case RecordKind::CoherenceRead:
    case RecordKind::CoherenceInvalidate:
      return "is a coherence probe";
    default:
      return nullptr;
  }
}

class ThreadStream final : public ReferenceStream {
 public:
  ThreadStream(const MulticoreConfig& config, unsigned core)
      : config_(config),
        core_(core),
        random_(mixed(config.seed, core)),
        sharing_(chance_of(config.sharing)),
        writes_(chance_of(config.writes)) {}

  std::size_t read(std::span<ReferenceRecord> batch) override {
    std::size_t count = 0;
    while (count < batch.size() && !at_end()) batch[count++] = next();
    return count;
  }
  [[nodiscard]] double progress() const override {
    return config_.references == 0 ? -1 : static_cast<double>(made_) / static_cast<double>(config_.references);
  }

 private:
  [[nodiscard]] bool at_end() const { return config_.references != 0 && made_ == config_.references; }
  ReferenceRecord next() {
    if (made_++ % config_.run == 0) start_run();
    const std::uint64_t offset = position_;
    position_ = (position_ + kWord) % bytes_;
    ReferenceRecord record;
    record.address = {base_ + offset};
    record.size = kWord;
    record.kind = random_.chance(writes_) ? RecordKind::Write : RecordKind::Read;
    record.core = static_cast<std::uint8_t>(core_);
    return record;
  }
  void start_run() {
    const bool shared = random_.chance(sharing_);
    bytes_ = shared ? config_.shared_bytes : config_.private_bytes;
    base_ = shared ? (std::uint64_t{kMostCores + 1} << kRegionShift) + kSharedOffset
                   : std::uint64_t{core_ + 1} << kRegionShift;
    double place = 1;
    const double even = as_fraction(random_.bits());
    for (unsigned power = 0; power < config_.skew; ++power) place *= even;
    const std::uint64_t words = bytes_ / kWord;
    position_ = static_cast<std::uint64_t>(place * static_cast<double>(words)) * kWord;
  }

  MulticoreConfig config_;
  unsigned core_;
  RandomSequence random_;
  std::uint64_t sharing_, writes_;
  std::uint64_t made_ = 0, base_ = 0, bytes_ = kWord, position_ = 0;
};

}  // namespace

std::string problem_of(const ProbeStreamConfig& config) {
  if (std::string problem = problem_of(config.system); !problem.empty()) return problem;
  if (std::string problem = problem_of(config.pages); !problem.empty()) return problem;
  return config.observed < config.system.cores ? std::string{} : "the observed core must be one of the system's";
}

ProbeStream::ProbeStream(ProbeStreamConfig config, std::vector<std::unique_ptr<ReferenceStream>> cores)
    : config_(std::move(config)), system_(config_.system), pages_(config_.pages) {
  assert(problem_of(config_).empty() && cores.size() == config_.system.cores);
  for (std::unique_ptr<ReferenceStream>& stream : cores) sources_.emplace_back(std::move(stream));
  system_.observe(this);
}

std::size_t ProbeStream::read(std::span<ReferenceRecord> batch) {
  return ready_.fill(batch, [this] {
    take_turns();
    return !ready_.empty();
  });
}

/// One record of each core, in their order, until something is there to hand out. Nothing: the end.
void ProbeStream::take_turns() {
  while (ready_.empty() && !error_ && !sources_[config_.observed].ended()) {
    for (unsigned core = 0; core < config_.system.cores && !error_; ++core) {
      const std::optional<ReferenceRecord> record = next_record(core);
      if (record) take(core, *record);
    }
  }
}

std::optional<ReferenceRecord> ProbeStream::next_record(unsigned core) {
  RecordReader& source = sources_[core];
  const std::optional<ReferenceRecord> record = source.next();
  if (!record && source.stream().error() != nullptr) error_ = *source.stream().error();
  return record;
}

void ProbeStream::take(unsigned core, ReferenceRecord record) {
  if (const char* refused = refusal(record.kind)) {
    error_ = unusable(core, refused);
    return;
  }
  if (!is_reference(record.kind)) {
    if (core == config_.observed) ready_.add() = record;
    return;
  }
  if (record.translated) return refer(core, record);
  std::uint32_t left = record.size;
  while (left != 0) {  // Once, unless it goes on in another page.
    const MappedPage page = pages_.translate(record.address, record.address_space);
    const std::uint64_t offset = record.address.value - page.page.value;
    record.physical = {page.frame.value + offset};
    record.page_size = page.size;
    record.translated = true;
    record.size = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, page_bytes(page.size) - offset));
    refer(core, record);
    left -= record.size;
    record.address.value += record.size;
  }
}

/// An access to each line that the reference touches.
void ProbeStream::refer(unsigned core, const ReferenceRecord& record) {
  if (core == config_.observed) ready_.add() = record;
  if (record.kind == RecordKind::Fetch) return;
  const std::uint64_t line = config_.system.l1d.line;
  const bool fast = is_superpage(record.page_size);
  std::uint64_t done = 0;
  while (done < record.size) {
    system_.access(core, {record.address.value + done}, {record.physical.value + done}, record.page_size,
                   access_of(record.kind), fast);
    done += line - (record.physical.value + done) % line;
  }
}

void ProbeStream::probed(unsigned core, PhysicalAddress line, CoherenceEvent event, CoherenceState) {
  if (core != config_.observed) return;
  ReferenceRecord record;
  record.physical = line;
  record.translated = true;
  record.size = config_.system.l1d.line;
  record.kind = invalidates(event) ? RecordKind::CoherenceInvalidate : RecordKind::CoherenceRead;
  record.core = static_cast<std::uint8_t>(core);
  ready_.add() = record;
}

std::string problem_of(const MulticoreConfig& config) {
  if (config.cores == 0 || config.cores > kMostCores) return "a program runs on 1 to 128 cores";
  for (const std::uint64_t bytes : {config.private_bytes, config.shared_bytes}) {
    if (bytes < kWord || bytes % kWord != 0 || bytes > std::uint64_t{1} << kRegionShift) {
      return "private and shared data are 8 bytes to 64 GB each, a multiple of 8";
    }
  }
  if (!is_share(config.sharing) || !is_share(config.writes)) {
    return "the shares of shared references and of writes lie between 0 and 1";
  }
  return config.run == 0 ? "a run has at least 1 reference" : std::string{};
}

std::unique_ptr<ReferenceStream> thread_stream(const MulticoreConfig& config, unsigned core) {
  assert(problem_of(config).empty() && core < config.cores);
  return std::make_unique<ThreadStream>(config, core);
}

std::vector<std::unique_ptr<ReferenceStream>> thread_streams(const MulticoreConfig& config) {
  std::vector<std::unique_ptr<ReferenceStream>> streams;
  for (unsigned core = 0; core < config.cores; ++core) streams.push_back(thread_stream(config, core));
  return streams;
}

}  // namespace shearling
