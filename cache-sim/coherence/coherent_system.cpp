// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/coherence/coherent_system.h"

#include <cassert>
#include <utility>

namespace shearling {

namespace {

constexpr CoherenceNode kHome{.kind = CoherenceNode::Kind::Home, .core = 0};
constexpr CoherenceNode kMemory{.kind = CoherenceNode::Kind::Memory, .core = 0};
constexpr CoherenceNode kEveryone{.kind = CoherenceNode::Kind::Everyone, .core = 0};
constexpr CoherenceNode node_of(unsigned core) { return {.kind = CoherenceNode::Kind::Core, .core = core}; }

/// MOESI never asks for a line to be cleaned: a dirty line that is read stays dirty, in O.
constexpr CoherenceAction action_of(CoherenceEvent event) {
  return invalidates(event) ? CoherenceAction::Invalidate : CoherenceAction::Look;
}

std::string l1d_problem(const CacheConfig& l1d) {
  const std::string who = "cache \"" + l1d.name + "\": ";
  if (l1d.organisation == CacheOrganisation::Vivt) {
    return who + "a coherence probe has no virtual address; choose VIPT, PIPT or SEESAW for several cores";
  }
  // Else a probe, which has a physical address, could not tell the set.
  if (l1d.organisation != CacheOrganisation::Pipt && l1d.size / l1d.ways > kFrameBytes) {
    return who + "with several cores a virtually indexed cache holds at most 4096 bytes a way; give it more ways";
  }
  if (l1d.write != WritePolicy::WriteBack || !l1d.write_allocate) {
    return who + "MOESI needs a first-level cache that is write-back and write-allocate";
  }
  return {};
}

std::string last_level_problem(const CacheConfig& last_level, const CacheConfig& l1d) {
  const std::string who = "cache \"" + last_level.name + "\": ";
  if (std::string problem = problem_of(last_level); !problem.empty()) return problem;
  if (last_level.organisation != CacheOrganisation::Pipt) return who + "a shared last-level cache must be PIPT";
  if (last_level.write != WritePolicy::WriteBack || !last_level.write_allocate) {
    return who + "a shared last-level cache must be write-back and write-allocate";
  }
  if (last_level.line != l1d.line) return who + "every cache must have the same line size";
  return {};
}

}  // namespace

std::string problem_of(const CoherentSystemConfig& config) {
  if (config.cores == 0 || config.cores > kMostCores) return "a system has 1 to 128 cores";
  if (std::string problem = problem_of(config.l1d); !problem.empty()) return problem;
  if (std::string problem = l1d_problem(config.l1d); !problem.empty()) return problem;
  return config.last_level ? last_level_problem(*config.last_level, config.l1d) : std::string{};
}

CoherenceCounters& CoherenceCounters::operator+=(const CoherenceCounters& other) {
  reads += other.reads;
  writes += other.writes;
  read_misses += other.read_misses;
  write_misses += other.write_misses;
  ways_probed += other.ways_probed;
  upgrades += other.upgrades;
  silent_upgrades += other.silent_upgrades;
  from_other_cache += other.from_other_cache;
  from_last_level += other.from_last_level;
  from_memory += other.from_memory;
  evictions += other.evictions;
  write_backs += other.write_backs;
  latency += other.latency;
  lookup_energy += other.lookup_energy;
  lookup_energy_saved += other.lookup_energy_saved;
  probes += other.probes;
  probe_hits += other.probe_hits;
  probe_ways += other.probe_ways;
  invalidations += other.invalidations;
  recalls += other.recalls;
  supplied += other.supplied;
  probe_energy += other.probe_energy;
  probe_energy_saved += other.probe_energy_saved;
  return *this;
}

double CoherenceReport::coherence_share_of_saving() const {
  const double saved = total.lookup_energy_saved + total.probe_energy_saved;
  return saved == 0 ? 0 : total.probe_energy_saved / saved;
}

CoherentSystem::CoherentSystem(CoherentSystemConfig config) : config_(std::move(config)) {
  assert(problem_of(config_).empty());
  cores_.reserve(config_.cores);
  for (unsigned core = 0; core < config_.cores; ++core) {
    Cache cache(config_.l1d, config_.seed * (kMostCores + 1) + core);
    const std::size_t slots = std::size_t{cache.sets()} * config_.l1d.ways;
    cores_.push_back({.cache = std::move(cache), .states = std::vector<CoherenceState>(slots), .counters = {}});
  }
  if (config_.last_level) last_level_.emplace(*config_.last_level, config_.seed * (kMostCores + 1) + kMostCores);
  if (config_.protocol == CoherenceProtocol::Directory) directory_.emplace();
}

CoherentSystem::Line CoherentSystem::line_at(PhysicalAddress address) const {
  const std::uint64_t number = address.value / config_.l1d.line;
  return {.address = {number * config_.l1d.line}, .number = number};
}

// Virtual and physical index agree: problem_of() sees to it that the set index lies in the page offset.
std::size_t CoherentSystem::slot_of(Line line, unsigned way) const {
  return line.number % cores_.front().cache.sets() * config_.l1d.ways + way;
}

CoherenceState CoherentSystem::state(unsigned core, PhysicalAddress address) const {
  const std::optional<unsigned> way = cores_[core].cache.find(address);
  return way ? cores_[core].states[slot_of(line_at(address), *way)] : CoherenceState::Invalid;
}

void CoherentSystem::set_state(unsigned core, std::size_t slot, Line line, CoherenceState state) {
  cores_[core].states[slot] = state;
  if (directory_) directory_->note(line.number, core, state);
}

void CoherentSystem::send(CoherenceMessage message, CoherenceNode from, CoherenceNode to, Line line) {
  ++messages_[static_cast<std::size_t>(message)];
  if (observer_ != nullptr) observer_->sent(message, from, to, line.address);
}

/// "4way-8way" insertion: a base page's line can lie outside the partition of its address. Where the same frame is then
/// used as part of a superpage, one partition is not enough, or the line would be held twice.
bool CoherentSystem::in_another_partition(const Cache& cache, PhysicalAddress physical) const {
  if (config_.l1d.organisation != CacheOrganisation::Seesaw) return false;
  if (config_.l1d.insertion == InsertionPolicy::Partition) return false;
  const std::optional<unsigned> way = cache.find(physical);
  return way && *way / Cache::kPartitionWays != cache.first_way_of_partition(physical.value) / Cache::kPartitionWays;
}

CoherenceOutcome CoherentSystem::access(unsigned core, VirtualAddress virtual_address, PhysicalAddress physical,
                                        PageSize page_size, AccessKind kind, bool fast) {
  assert(!fast || is_superpage(page_size));
  Core& self = cores_[core];
  const Line line = line_at(physical);
  const bool by_physical = config_.l1d.organisation == CacheOrganisation::Pipt;
  const bool one_partition = fast && !in_another_partition(self.cache, physical);
  const std::uint64_t index = by_physical ? physical.value : virtual_address.value;
  const Cache::Step step = self.cache.step(index, physical, kind, one_partition, is_superpage(page_size));

  CoherenceOutcome outcome;
  outcome.l1 = self.cache.outcome_of(step);
  outcome.latency = outcome.l1.latency;
  const std::size_t slot = slot_of(line, step.way);
  if (step.evicted) evict(core, slot, line_at(self.cache.address_of(step.evicted_line)), outcome);
  outcome.before = self.states[slot];
  const CoherenceRule& rule =
      coherence_rule(config_.protocol, outcome.before, step.write ? CoherenceEvent::Store : CoherenceEvent::Load);
  const bool shared = rule.sends && request(core, line, rule, outcome);
  outcome.after = shared ? rule.next_if_shared : rule.next;
  if (outcome.after != outcome.before) set_state(core, slot, line, outcome.after);
  count(self.counters, step, outcome);
  return outcome;
}

bool CoherentSystem::request(unsigned core, Line line, const CoherenceRule& rule, CoherenceOutcome& outcome) {
  const CoherenceMessage asked = *rule.sends;
  outcome.request = asked;
  const Answer answer = !directory_                       ? ask_everyone(core, line, asked, outcome)
                        : asked == CoherenceMessage::GetS ? ask_directory_to_read(core, line, outcome)
                                                          : ask_directory_to_write(core, line, asked, outcome);
  outcome.latency += answer.messages * config_.message_latency;
  outcome.supplier = answer.supplier;
  if (rule.data != CoherenceData::Fetched) return answer.shared;
  if (answer.supplier) {
    outcome.source = DataSource::OtherCache;
    outcome.latency += config_.l1d.latency;
  } else {
    outcome.source = fetch(line, outcome);
    send(CoherenceMessage::DataHome, kHome, node_of(core), line);
  }
  return answer.shared;
}

CoherentSystem::Answer CoherentSystem::ask_directory_to_read(unsigned core, Line line, CoherenceOutcome& outcome) {
  const DirectoryEntry entry = directory_->look_up(line.number);
  send(CoherenceMessage::GetS, node_of(core), kHome, line);
  if (!entry.owner) return {.shared = !entry.empty(), .supplier = {}, .messages = 2};
  send(CoherenceMessage::FwdGetS, kHome, node_of(*entry.owner), line);
  probe(*entry.owner, line, CoherenceEvent::OtherGetS, node_of(core), outcome);
  return {.shared = true, .supplier = entry.owner, .messages = 3};
}

CoherentSystem::Answer CoherentSystem::ask_directory_to_write(unsigned core, Line line, CoherenceMessage request,
                                                              CoherenceOutcome& outcome) {
  const DirectoryEntry entry = directory_->look_up(line.number);
  CoreSet others = entry.holders();
  others.erase(core);
  send(request, node_of(core), kHome, line);
  Answer answer{.shared = false, .supplier = {}, .messages = others.empty() ? 2U : 3U};
  if (request == CoherenceMessage::GetM && entry.owner) {
    others.erase(*entry.owner);
    answer.supplier = entry.owner;
    send(CoherenceMessage::FwdGetM, kHome, node_of(*entry.owner), line);
    probe(*entry.owner, line, CoherenceEvent::OtherGetM, node_of(core), outcome);
  }
  others.for_each([&](unsigned other) {
    send(CoherenceMessage::Inv, kHome, node_of(other), line);
    probe(other, line, CoherenceEvent::OtherInvalidate, node_of(core), outcome);
  });
  // Data from the home brings the number along.
  const bool alone = request == CoherenceMessage::Upgrade || (answer.supplier && !others.empty());
  if (alone) send(CoherenceMessage::AckCount, kHome, node_of(core), line);
  return answer;
}

CoherentSystem::Answer CoherentSystem::ask_everyone(unsigned core, Line line, CoherenceMessage request,
                                                    CoherenceOutcome& outcome) {
  const bool upgrade = request == CoherenceMessage::Upgrade;
  const CoherenceEvent event = request == CoherenceMessage::GetS   ? CoherenceEvent::OtherGetS
                               : request == CoherenceMessage::GetM ? CoherenceEvent::OtherGetM
                                                                   : CoherenceEvent::OtherInvalidate;
  send(request, node_of(core), kEveryone, line);
  Answer answer{.shared = false, .supplier = {}, .messages = upgrade ? 1U : 2U};
  for (unsigned other = 0; other < config_.cores; ++other) {
    if (other == core) continue;
    const CoherenceRule& rule = probe(other, line, event, node_of(core), outcome);
    answer.shared = answer.shared || rule.next != CoherenceState::Invalid;
    if (rule.data == CoherenceData::ToRequester) answer.supplier = other;
  }
  return answer;
}

const CoherenceRule& CoherentSystem::probe(unsigned core, Line line, CoherenceEvent event, CoherenceNode requester,
                                           CoherenceOutcome& outcome) {
  Core& target = cores_[core];
  const ProbeOutcome found = target.cache.coherence_probe(line.address, action_of(event));
  const std::size_t slot = slot_of(line, found.way);
  const CoherenceState before = found.hit ? target.states[slot] : CoherenceState::Invalid;
  const CoherenceRule& rule = coherence_rule(config_.protocol, before, event);
  assert(rule.possible);
  assert(found.dirty == is_dirty(before));

  count(target.counters, found, rule, event);
  ++outcome.probes;
  outcome.probe_ways += found.ways_probed;
  outcome.probe_energy += double{found.energy};
  if (observer_ != nullptr) observer_->probed(core, line.address, event, before);
  if (rule.next != before) set_state(core, slot, line, rule.next);
  if (rule.sends) send(*rule.sends, node_of(core), requester, line);
  return rule;
}

void CoherentSystem::evict(unsigned core, std::size_t slot, Line line, CoherenceOutcome& outcome) {
  Core& self = cores_[core];
  const CoherenceRule& rule = coherence_rule(config_.protocol, self.states[slot], CoherenceEvent::Evict);
  assert(rule.possible);
  ++self.counters.evictions;
  self.counters.write_backs += rule.writes_back() ? 1 : 0;
  set_state(core, slot, line, rule.next);
  if (rule.sends) send(*rule.sends, node_of(core), kHome, line);
  if (rule.writes_back()) write_back(line, outcome);
  if (directory_) send(CoherenceMessage::PutAck, kHome, node_of(core), line);
}

DataSource CoherentSystem::fetch(Line line, CoherenceOutcome& outcome) {
  DataSource source = DataSource::Memory;
  if (last_level_) {
    const Cache::Step step = last_level_->step(line.address.value, line.address, AccessKind::Read, false);
    outcome.latency += last_level_->latency_of(step);
    outcome.below_energy += double{last_level_->energy_of(step)};
    last_level_energy_ += double{last_level_->energy_of(step)};
    if (step.hit) source = DataSource::LastLevel;
    if (step.evicted) displaced(step, outcome);
  }
  if (source == DataSource::Memory) {
    outcome.latency += config_.memory_latency;
    read_memory(line, outcome);
  }
  return source;
}

CoherenceOutcome CoherentSystem::read_home(PhysicalAddress physical) {
  CoherenceOutcome outcome;
  outcome.source = fetch(line_at(physical), outcome);
  return outcome;
}

void CoherentSystem::write_back(Line line, CoherenceOutcome& outcome) {
  if (!last_level_) return write_memory(line, outcome);
  if (config_.last_level->arrival == WriteBackArrival::Update) {
    if (!last_level_->mark_dirty_if_held(line.address)) write_memory(line, outcome);
    return;
  }
  const Cache::Step step = last_level_->step(line.address.value, line.address, AccessKind::Write, false);
  outcome.below_energy += double{last_level_->energy_of(step)};
  last_level_energy_ += double{last_level_->energy_of(step)};
  if (step.evicted) displaced(step, outcome);
}

/// The last-level cache gave a line up for the one that came.
void CoherentSystem::displaced(const Cache::Step& step, CoherenceOutcome& outcome) {
  const Line line = line_at(last_level_->address_of(step.evicted_line));
  const bool newer_above = config_.last_level->inclusive && recall(line, outcome);
  if (step.evicted_dirty || newer_above) write_memory(line, outcome);
}

/// Takes the line from every first-level cache. True: one of them had it dirty, and sent it.
bool CoherentSystem::recall(Line line, CoherenceOutcome& outcome) {
  bool dirty = false;
  const auto recall_from = [&](unsigned core) {
    if (directory_) send(CoherenceMessage::Recall, kHome, node_of(core), line);
    dirty |= probe(core, line, CoherenceEvent::Recall, kHome, outcome).writes_back();
  };
  if (directory_) {
    directory_->look_up(line.number).holders().for_each(recall_from);
    return dirty;
  }
  send(CoherenceMessage::Recall, kHome, kEveryone, line);
  for (unsigned core = 0; core < config_.cores; ++core) recall_from(core);
  return dirty;
}

void CoherentSystem::read_memory(Line line, CoherenceOutcome& outcome) {
  send(CoherenceMessage::MemoryRead, kMemory, kHome, line);
  outcome.below_energy += double{config_.memory_energy};
  memory_energy_ += double{config_.memory_energy};
}

void CoherentSystem::write_memory(Line line, CoherenceOutcome& outcome) {
  send(CoherenceMessage::MemoryWrite, kHome, kMemory, line);
  outcome.below_energy += double{config_.memory_energy};
  memory_energy_ += double{config_.memory_energy};
}

void CoherentSystem::count(CoherenceCounters& counters, const ProbeOutcome& found, const CoherenceRule& rule,
                           CoherenceEvent event) const {
  const bool lost = found.hit && rule.next == CoherenceState::Invalid;
  ++counters.probes;
  counters.probe_hits += found.hit ? 1 : 0;
  counters.probe_ways += found.ways_probed;
  counters.probe_energy += double{found.energy};
  counters.probe_energy_saved += double{config_.l1d.energy} - double{found.energy};
  counters.recalls += lost && event == CoherenceEvent::Recall ? 1 : 0;
  counters.invalidations += lost && event != CoherenceEvent::Recall ? 1 : 0;
  counters.supplied += rule.data == CoherenceData::ToRequester ? 1 : 0;
  counters.write_backs += rule.writes_back() ? 1 : 0;
}

void CoherentSystem::count(CoherenceCounters& counters, const Cache::Step& step,
                           const CoherenceOutcome& outcome) const {
  ++(step.write ? counters.writes : counters.reads);
  counters.ways_probed += outcome.l1.ways_probed;
  counters.latency += outcome.latency;
  counters.lookup_energy += double{outcome.l1.energy};
  counters.lookup_energy_saved += double{config_.l1d.energy} - double{outcome.l1.energy};
  counters.upgrades += outcome.request == CoherenceMessage::Upgrade ? 1 : 0;
  counters.silent_upgrades += step.write && outcome.before == CoherenceState::Exclusive ? 1 : 0;
  if (step.hit) return;
  ++(step.write ? counters.write_misses : counters.read_misses);
  counters.from_other_cache += outcome.source == DataSource::OtherCache ? 1 : 0;
  counters.from_last_level += outcome.source == DataSource::LastLevel ? 1 : 0;
  counters.from_memory += outcome.source == DataSource::Memory ? 1 : 0;
}

unsigned CoherentSystem::sweep(unsigned core, PhysicalAddress address, std::uint64_t bytes) {
  if (bytes == 0) return 0;
  Core& self = cores_[core];
  const std::uint64_t first = line_at(address).number;
  const std::uint64_t last = line_at({address.value + (bytes - 1)}).number;
  CoherenceOutcome outcome;
  for (std::size_t slot = 0; slot < self.states.size(); ++slot) {
    if (self.states[slot] == CoherenceState::Invalid) continue;
    const Cache::Line held =
        self.cache.line(static_cast<unsigned>(slot / config_.l1d.ways), static_cast<unsigned>(slot % config_.l1d.ways));
    if (held.number < first || held.number > last) continue;
    evict(core, slot, {.address = self.cache.address_of(held.number), .number = held.number}, outcome);
  }
  return self.cache.sweep(address, bytes);
}

CoherenceReport CoherentSystem::report() const {
  CoherenceReport report;
  report.protocol = config_.protocol;
  for (const Core& core : cores_) {
    report.cores.push_back(core.counters);
    report.total += core.counters;
  }
  report.messages = messages_;
  report.last_level_energy = last_level_energy_;
  report.memory_energy = memory_energy_;
  return report;
}

void CoherentSystem::rebuild_directory() {
  if (!directory_) return;
  directory_->clear();
  for (unsigned core = 0; core < config_.cores; ++core) {
    const Core& held = cores_[core];
    for (std::size_t slot = 0; slot < held.states.size(); ++slot) {
      if (held.states[slot] == CoherenceState::Invalid) continue;
      const auto set = static_cast<unsigned>(slot / config_.l1d.ways);
      const auto way = static_cast<unsigned>(slot % config_.l1d.ways);
      directory_->note(held.cache.line(set, way).number, core, held.states[slot]);
    }
  }
}

}  // namespace shearling
