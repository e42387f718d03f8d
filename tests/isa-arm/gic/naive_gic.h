// SPDX-License-Identifier: GPL-3.0-or-later
//
// The interrupt controller as one would explain it on a blackboard: a list of interrupts, a list of what runs, and
// every question answered by going through them from the start. Nothing is packed and nothing is remembered.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

namespace shearling::arm::testing {

struct NaiveInterrupt {
  unsigned number = 0;
  int core = -1;  ///< Whose it is; -1: a shared one, which goes to `route`.
  unsigned route = 0;
  unsigned group = 0, priority = 0;
  bool enabled = false, latched = false, line = false, edge = false, active = false;
  [[nodiscard]] bool pending() const { return latched || (line && !edge); }
};

/// What a CPU interface knows, physical or virtual.
struct NaiveInterface {
  struct Running {
    unsigned priority, group;
    bool operator<(const Running& other) const {
      return priority != other.priority ? priority < other.priority : group < other.group;
    }
  };
  unsigned mask = 0, binary_point[2] = {2, 3};
  bool on[2] = {false, false}, common = false, split = false;
  std::set<Running> running;  ///< Most urgent first. Only the part of a priority that preempts is in it.

  /// IHI 0069, table 4-6: group 1's binary point is one to the left of group 0's.
  [[nodiscard]] unsigned preempting_part(unsigned priority, unsigned group) const {
    unsigned subpriority_bits = common || group == 0 ? binary_point[0] + 1 : binary_point[1];
    return priority >> subpriority_bits << subpriority_bits;
  }
  [[nodiscard]] bool lets_through(unsigned priority, unsigned group) const {
    if (priority >= mask) return false;
    return running.empty() || preempting_part(priority, group) < preempting_part(running.begin()->priority, group);
  }
  void start(unsigned priority, unsigned group) { running.insert({preempting_part(priority, group), group}); }
  /// False where it is not this group that runs.
  bool finish(unsigned group) {
    if (running.empty() || running.begin()->group != group) return false;
    running.erase(running.begin());
    return true;
  }
  [[nodiscard]] unsigned running_priority() const { return running.empty() ? 0xff : running.begin()->priority; }
  void set_binary_point(unsigned group, unsigned value) {
    if (group == 1 && common) return;
    binary_point[group] = std::max(value, 2 + group);
  }
  [[nodiscard]] unsigned seen_binary_point(unsigned group) const {
    if (group == 1 && common) return std::min(binary_point[0] + 1, 7U);
    return binary_point[group];
  }
};

struct NaiveListRegister {
  unsigned number = 0, priority = 0, group = 0, physical = 0;
  bool pending = false, active = false, hardware = false, tell_end = false;
};

struct NaiveCore {
  bool awake = false;
  NaiveInterface physical, guest;
  NaiveListRegister list[4];
  bool virtual_on = false, told[8] = {};  ///< ICH_HCR_EL2: En, and which conditions EL2 wants to hear of.
  unsigned ends_without_entry = 0;
};

class NaiveGic {
 public:
  explicit NaiveGic(unsigned cores) : cores_(cores) {
    for (unsigned core = 0; core < cores; ++core) {
      for (unsigned number = 0; number < 32; ++number)
        interrupts_.push_back({.number = number, .core = static_cast<int>(core), .edge = number < 16});
    }
    for (unsigned number = 32; number < 288; ++number) interrupts_.push_back({.number = number});
  }

  NaiveCore& core(unsigned index) { return cores_[index]; }
  NaiveInterrupt& interrupt(unsigned core, unsigned number) {
    return *std::find_if(interrupts_.begin(), interrupts_.end(), [&](const NaiveInterrupt& each) {
      return each.number == number && (each.core < 0 || each.core == static_cast<int>(core));
    });
  }
  bool group_on[2] = {false, false};

  void set_line(unsigned core, unsigned number, bool level) {
    NaiveInterrupt& it = interrupt(core, number);
    if (level && !it.line && it.edge) it.latched = true;
    it.line = level;
  }

  /// The most urgent one that could be taken if nothing ran and the mask were open.
  std::optional<NaiveInterrupt> most_urgent(unsigned core) const {
    std::vector<NaiveInterrupt> able;
    for (const NaiveInterrupt& it : interrupts_) {
      const bool here = it.core < 0 ? it.route == core : it.core == static_cast<int>(core);
      const bool group = group_on[it.group] && cores_[core].physical.on[it.group];
      if (here && group && cores_[core].awake && it.enabled && it.pending() && !it.active) able.push_back(it);
    }
    std::stable_sort(able.begin(), able.end(), [](const NaiveInterrupt& a, const NaiveInterrupt& b) {
      return a.priority != b.priority ? a.priority < b.priority : a.number < b.number;
    });
    if (able.empty()) return std::nullopt;
    return able.front();
  }
  std::optional<NaiveInterrupt> signalled(unsigned core) const {
    const auto it = most_urgent(core);
    if (!it || !cores_[core].physical.lets_through(it->priority, it->group)) return std::nullopt;
    return it;
  }
  unsigned acknowledge(unsigned core, unsigned group) {
    const auto it = signalled(core);
    if (!it || it->group != group) return 1023;
    NaiveInterrupt& taken = interrupt(core, it->number);
    taken.active = true;
    taken.latched = false;
    cores_[core].physical.start(it->priority, group);
    return it->number;
  }
  void end(unsigned core, unsigned group, unsigned number) {
    if (number >= 288 || !cores_[core].physical.finish(group)) return;
    if (!cores_[core].physical.split) interrupt(core, number).active = false;
  }
  void deactivate(unsigned core, unsigned number) {
    if (number < 288 && cores_[core].physical.split) interrupt(core, number).active = false;
  }
  void send(unsigned from, unsigned number, unsigned group, bool all_others, unsigned targets) {
    for (unsigned core = 0; core < cores_.size(); ++core) {
      const bool reached = all_others ? core != from : (targets >> core & 1) != 0;
      if (reached && interrupt(core, number).group == group) interrupt(core, number).latched = true;
    }
  }

  // --- the virtual side ----------------------------------------------------------------------------------------------

  /// The list register of the most urgent pending one.
  int most_urgent_entry(unsigned core) const {
    int best = -1;
    for (int index = 3; index >= 0; --index) {
      const NaiveListRegister& entry = cores_[core].list[index];
      if (!entry.pending || entry.active || !cores_[core].guest.on[entry.group]) continue;
      if (best < 0 || entry.priority <= cores_[core].list[best].priority) best = index;
    }
    return best;
  }
  int signalled_entry(unsigned core) const {
    const int best = cores_[core].virtual_on ? most_urgent_entry(core) : -1;
    if (best < 0) return -1;
    const NaiveListRegister& entry = cores_[core].list[best];
    return cores_[core].guest.lets_through(entry.priority, entry.group) ? best : -1;
  }
  unsigned guest_acknowledge(unsigned core, unsigned group) {
    const int index = signalled_entry(core);
    if (index < 0 || cores_[core].list[index].group != group) return 1023;
    NaiveListRegister& entry = cores_[core].list[index];
    entry.pending = false;
    entry.active = true;
    cores_[core].guest.start(entry.priority, group);
    return entry.number;
  }
  void guest_end(unsigned core, unsigned group, unsigned number) {
    if (!cores_[core].guest.finish(group)) return;
    if (!cores_[core].guest.split) guest_take_away(core, number);
  }
  void guest_deactivate(unsigned core, unsigned number) {
    if (cores_[core].guest.split) guest_take_away(core, number);
  }

  bool condition(unsigned core, unsigned which) const {
    const NaiveCore& it = cores_[core];
    unsigned valid = 0, pending = 0, ended = 0;
    for (const NaiveListRegister& entry : it.list) {
      valid += entry.pending || entry.active ? 1 : 0;
      pending += entry.pending && !entry.active ? 1 : 0;
      ended += !entry.pending && !entry.active && !entry.hardware && entry.tell_end ? 1 : 0;
    }
    switch (which) {
      case 0:
        return ended != 0;
      case 1:
        return it.told[1] && valid <= 1;
      case 2:
        return it.told[2] && it.ends_without_entry != 0;
      case 3:
        return it.told[3] && pending == 0;
      case 4:
        return it.told[4] && it.guest.on[0];
      case 5:
        return it.told[5] && !it.guest.on[0];
      case 6:
        return it.told[6] && it.guest.on[1];
      default:
        return it.told[7] && !it.guest.on[1];
    }
  }
  unsigned maintenance_status(unsigned core) const {
    unsigned status = 0;
    for (unsigned which = 0; which < 8; ++which) status |= condition(core, which) ? 1U << which : 0;
    return status;
  }
  /// To be called after everything that may have changed it.
  void move_maintenance_line(unsigned core) {
    set_line(core, 25, cores_[core].virtual_on && maintenance_status(core) != 0);
  }

 private:
  void guest_take_away(unsigned core, unsigned number) {
    for (NaiveListRegister& entry : cores_[core].list) {
      if (!entry.active || entry.number != number) continue;
      entry.active = false;
      if (entry.hardware && entry.physical < 288) interrupt(core, entry.physical).active = false;
      return;
    }
    cores_[core].ends_without_entry = (cores_[core].ends_without_entry + 1) % 32;
  }

  std::vector<NaiveInterrupt> interrupts_;
  std::vector<NaiveCore> cores_;
};

}  // namespace shearling::arm::testing
