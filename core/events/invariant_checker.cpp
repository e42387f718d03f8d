// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/events/invariant_checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "core/events/reflection.h"

namespace shearling {

namespace {
std::uint64_t page_number(VirtualAddress address) { return address.value >> 12; }
}  // namespace

void InvariantChecker::violated(std::string what) {
  if (violations_.size() >= most_violations_) return;
  const std::uint32_t ordinal = next_ordinal_ == 0 ? 0 : next_ordinal_ - 1;
  violations_.push_back(fmt::format("step {}, ordinal {}: {}", step_.value_or(0), ordinal, what));
}

void InvariantChecker::on_event(const Event& event) {
  check_place(event);
  std::visit([&](const auto& payload) { check(payload); }, event.payload);
}

const std::vector<std::string>& InvariantChecker::finish() {
  if (step_) end_step();
  return violations_;
}

void InvariantChecker::forget() {
  step_.reset();
  next_ordinal_ = 0;
  stopped_ = false;
  retired_ = 0;
  open_trap_.clear();
  roots_.clear();
  walks_.clear();
  pending_miss_.reset();
  filled_.clear();
}

void InvariantChecker::check_place(const Event& event) {
  if (step_ && event.step == *step_) {
    if (event.ordinal != next_ordinal_)
      violated(fmt::format("ordinal {} follows where {} was due", event.ordinal, next_ordinal_));
    if (event.vcpu != vcpu_) violated(fmt::format("core {} and core {} share a step", vcpu_, event.vcpu));
    next_ordinal_ = event.ordinal + 1;
    return;
  }
  if (step_) {
    end_step();
    if (event.step != *step_ + 1) violated(fmt::format("step {} follows step {}", event.step, *step_));
  }
  step_ = event.step;
  vcpu_ = event.vcpu;
  next_ordinal_ = event.ordinal + 1;
  retired_ = 0;
  if (event.ordinal != 0) violated(fmt::format("the step begins with ordinal {}", event.ordinal));
  if (stopped_) violated("an event follows machine.stopped");
}

void InvariantChecker::end_step() {
  if (!walks_.empty()) violated(fmt::format("the walk of {:#x} does not end in its step", walks_.back().address.value));
  walks_.clear();
  judge_pending_miss("the step ends");
  if (root() == Root::Inside && !stopped_) violated("a vm.exit is followed by no vm.entry in its step");
  if (root() == Root::Inside) root() = Root::Outside;
  if (!open_trap_.empty() && !stopped_)
    violated(fmt::format("{} was raised, and neither delivered nor followed by an exit", open_trap_));
  open_trap_.clear();
}

void InvariantChecker::check(const InstructionRetired&) {
  if (++retired_ > 1) violated("a second instruction.retired in one step");
  judge_pending_miss("the instruction retires");
}

void InvariantChecker::check(const TrapRaised& trap) {
  open_trap_ = trap.name.empty() ? "a trap without a name" : trap.name;
}
void InvariantChecker::check(const TrapDelivered&) { open_trap_.clear(); }

void InvariantChecker::check(const VmExit&) {
  if (root() == Root::Inside) violated("a vm.exit while the VMM is already at work");
  root() = Root::Inside;
  open_trap_.clear();
}

void InvariantChecker::check(const VmmAction& action) {
  // Before the first entry the VMM sets up its structures: no exit precedes that.
  if (root() == Root::Outside) violated(fmt::format("vmm.action '{}' outside exit and entry", action.name));
}

void InvariantChecker::check(const VmEntry&) {
  if (root() == Root::Outside) violated("a vm.entry without a vm.exit before it");
  root() = Root::Outside;
}

void InvariantChecker::check(const WalkBegin& walk) {
  if (pending_miss_ && page_number(*pending_miss_) == page_number(walk.virtual_address)) pending_miss_.reset();
  walks_.push_back({walk.virtual_address, 0, 0});
}

void InvariantChecker::check(const WalkReference& reference) {
  if (walks_.empty()) {
    violated("a walk.reference outside walk.begin and walk.end");
    return;
  }
  OpenWalk& walk = walks_.back();
  if (reference.number == 0) {
    ++walk.skipped;
    return;
  }
  ++walk.references;
  if (reference.number != walk.references)
    violated(fmt::format("walk.reference {} where {} was due", reference.number, walk.references));
}

void InvariantChecker::check(const WalkEnd& end) {
  if (walks_.empty()) {
    violated("a walk.end without its walk.begin");
    return;
  }
  const OpenWalk walk = walks_.back();
  walks_.pop_back();
  if (walk.address != end.virtual_address)
    violated(fmt::format("the walk of {:#x} ends as that of {:#x}", walk.address.value, end.virtual_address.value));
  if (walk.references != end.references)
    violated(fmt::format("walk.end counts {} references, {} were seen", end.references, walk.references));
  if (walk.skipped != end.skipped)
    violated(fmt::format("walk.end counts {} skipped, {} were seen", end.skipped, walk.skipped));
}

void InvariantChecker::check(const TlbLookup& lookup) {
  if (lookup.hit) {
    const auto filled = filled_.find({vcpu_, structure_number(lookup.structure), lookup.set, lookup.way});
    if (filled != filled_.end() && lookup.virtual_address.value - filled->second.base >= filled->second.bytes)
      violated(fmt::format("{} hits for {:#x} in set {}, way {}, where the page {:#x} was filled", lookup.structure,
                           lookup.virtual_address.value, lookup.set, lookup.way, filled->second.base));
  }
  if (!walks_.empty()) return;  // the nested TLB, asked during a walk: no walk of its own follows
  if (pending_miss_ && *pending_miss_ != lookup.virtual_address) judge_pending_miss("another address is looked up");
  if (lookup.hit)
    pending_miss_.reset();
  else
    pending_miss_ = lookup.virtual_address;
}

void InvariantChecker::judge_pending_miss(std::string_view when) {
  if (pending_miss_ && !stopped_)
    violated(fmt::format("every TLB level misses for {:#x}, and no walk begins before {}", pending_miss_->value, when));
  pending_miss_.reset();
}

void InvariantChecker::check(const TlbFill& fill) {
  filled_[{vcpu_, structure_number(fill.structure), fill.set, fill.way}] = {fill.page.value,
                                                                            page_bytes(fill.page_size)};
}

void InvariantChecker::check(const CacheLookup& lookup) {
  if (static_cast<unsigned>(std::popcount(lookup.ways_probed_mask)) != lookup.ways_probed)
    violated(fmt::format("{} probes {} ways, and its mask {:#x} says otherwise", lookup.cache, lookup.ways_probed,
                         lookup.ways_probed_mask));
  if (!lookup.hit) return;
  if (lookup.way >= 32 || (lookup.ways_probed_mask >> lookup.way & 1) == 0)
    violated(fmt::format("{} hits in way {}, outside the probed ways {:#x}", lookup.cache, lookup.way,
                         lookup.ways_probed_mask));
  const auto filled = filled_.find({vcpu_, structure_number(lookup.cache), lookup.set, lookup.way});
  if (filled != filled_.end() && lookup.physical_address.value - filled->second.base >= filled->second.bytes)
    violated(fmt::format("{} hits for {:#x} in set {}, way {}, where the line {:#x} was filled", lookup.cache,
                         lookup.physical_address.value, lookup.set, lookup.way, filled->second.base));
}

void InvariantChecker::check(const CacheFill& fill) {
  filled_[{vcpu_, structure_number(fill.cache), fill.set, fill.way}] = {fill.line.value, line_bytes_};
}

void InvariantChecker::check(const MachineStopped&) { stopped_ = true; }

unsigned InvariantChecker::structure_number(std::string_view name) {
  const auto found = std::find(structures_.begin(), structures_.end(), name);
  if (found != structures_.end()) return static_cast<unsigned>(found - structures_.begin());
  structures_.emplace_back(name);
  return static_cast<unsigned>(structures_.size() - 1);
}

}  // namespace shearling
