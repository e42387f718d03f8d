// SPDX-License-Identifier: GPL-3.0-or-later
//
// Random translation tables of both stages, and random registers to walk them with. All tables lie in slots of 64 KB,
// so that the same descriptors can be walked with every granule; slots have levels by turns, so that most walks come to
// an end. A world is 4 MB of physical memory; the intermediate addresses of its stage-1 tables are those of the same
// memory with its slots shuffled where it has a stage 2.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <random>
#include <utility>
#include <vector>

#include "isa-arm/registers/arm_state.h"

namespace shearling::arm::testing {

/// Registers and one question, as table-prober.S reads them.
struct Request {
  std::uint64_t address = 0, operation = 0;
  std::uint64_t hcr = 0, vtcr = 0, vttbr = 0;
  std::uint64_t sctlr_el1 = 0, tcr_el1 = 0, ttbr0_el1 = 0, ttbr1_el1 = 0, mair_el1 = 0;
  std::uint64_t sctlr_el2 = 0, tcr_el2 = 0, ttbr0_el2 = 0, ttbr1_el2 = 0, mair_el2 = 0;
  std::uint64_t pan = 0;  ///< As in the register PAN: bit 22.
};
static_assert(sizeof(Request) == 128);

inline void apply(const Request& request, ArmState& state) {
  using enum SystemRegister;
  state[HCR_EL2] = request.hcr;
  state[VTCR_EL2] = request.vtcr;
  state[VTTBR_EL2] = request.vttbr;
  state[SCTLR_EL1] = request.sctlr_el1;
  state[TCR_EL1] = request.tcr_el1;
  state[TTBR0_EL1] = request.ttbr0_el1;
  state[TTBR1_EL1] = request.ttbr1_el1;
  state[MAIR_EL1] = request.mair_el1;
  state[SCTLR_EL2] = request.sctlr_el2;
  state[TCR_EL2] = request.tcr_el2;
  state[TTBR0_EL2] = request.ttbr0_el2;
  state[TTBR1_EL2] = request.ttbr1_el2;
  state[MAIR_EL2] = request.mair_el2;
  state.pan = request.pan != 0;
}

class RandomTables {
 public:
  static constexpr std::uint64_t kSlotBytes = 0x10000, kSlots = 64, kBytes = kSlots * kSlotBytes;
  static constexpr std::uint64_t kSctlrOnes = 0x30c50830;  // RES1, M clear.
  using Put = std::function<void(std::uint64_t address, std::uint64_t entry)>;

  RandomTables(std::uint64_t seed, std::uint64_t base, bool nested, Put put_entry)
      : random_(seed), base_(base), nested_(nested), put_(std::move(put_entry)) {
    for (unsigned slot = 0; slot < kSlots; ++slot) place_[slot] = slot;
    if (nested_) std::shuffle(place_.begin(), place_.begin() + kStageOneSlots, random_);
    for (unsigned slot = 0; slot < kStageOneSlots; ++slot) fill_slot(slot, [&] { return stage_one_entry(slot % 4); });
    for (unsigned slot = kStageTwoFirst; slot < kEl2First; ++slot)
      fill_slot(slot, [&] { return stage_two_entry(slot % 4); });
    for (const unsigned granule : {12U, 14U, 16U}) {
      make_stage_two_chain(granule);
      make_el2_chain(granule);
    }
  }

  bool chance(unsigned percent) { return random_() % 100 < percent; }
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  template <std::size_t N>
  std::uint64_t one_of(const std::uint64_t (&values)[N]) {
    return values[below(N)];
  }

  /// EL1&0, with or without stage 2, by one of the ten AT instructions of that regime.
  Request el1_request() {
    Request request;
    request.operation = below(10);
    request.pan = chance(50) ? spsr::kPan : 0;
    request.hcr =
        hcr::kRw | (nested_ == chance(90) ? hcr::kVm : 0) | (chance(4) ? hcr::kDc : 0) | (chance(20) ? hcr::kPtw : 0);
    request.sctlr_el1 = kSctlrOnes | (chance(97) ? sctlr::kM : 0);
    request.mair_el1 = random_mair();
    const unsigned lower = random_granule(), upper = random_granule();
    const unsigned lower_size = random_size(), upper_size = random_size();
    request.tcr_el1 = lower_size | upper_size << 16 | lower_code(lower) << 14 | upper_code(upper) << 30 |
                      random_address_size() << 32 | (chance(3) ? 1ULL << 7 : 0) | (chance(3) ? 1ULL << 23 : 0) |
                      below(4) << 37 | random_hardware_flags() << 39 | (chance(50) ? 1ULL << 36 : 0);
    request.ttbr0_el1 = random_root(lower, lower_size) | below(0x100) << 48;
    request.ttbr1_el1 = random_root(upper, upper_size) | below(2);
    random_stage_two(request);
    const bool high = chance(50);
    request.address = random_address(high ? upper : lower, high ? upper_size : lower_size, high);
    return request;
  }

  /// EL2, or with HCR_EL2.E2H EL2&0. Whoever asks runs by these tables: they map its memory in place.
  Request el2_request(bool host_extensions) {
    Request request;
    request.operation = 10 + below(2);
    request.pan = chance(50) ? spsr::kPan : 0;
    request.hcr = hcr::kRw | (host_extensions ? hcr::kE2h : 0);
    request.sctlr_el2 = kSctlrOnes | (chance(98) ? sctlr::kM : 0);
    request.mair_el2 = random_mair();
    const unsigned lower = random_granule(), upper = random_granule();
    const auto lower_size = static_cast<unsigned>(16 + below(18)), upper_size = random_size();
    if (host_extensions) {
      request.tcr_el2 = lower_size | upper_size << 16 | granule_code(lower) << 14 | upper_code(upper) << 30 |
                        random_address_size() << 32 | (chance(3) ? 1ULL << 23 : 0) | below(4) << 37 |
                        random_hardware_flags() << 39;
    } else {
      request.tcr_el2 = 1ULL << 31 | 1ULL << 23 | lower_size | granule_code(lower) << 14 | random_address_size() << 16 |
                        below(2) << 20 | random_hardware_flags() << 21;
    }
    request.ttbr0_el2 = slot_address(el2_slot(lower, start_level(lower, lower_size)));
    request.ttbr1_el2 = random_root(upper, upper_size);
    const bool high = host_extensions && chance(50);
    request.address = random_address(high ? upper : lower, high ? upper_size : lower_size, high);
    return request;
  }

  /// Another address for the same registers.
  std::uint64_t address_for(const Request& request, bool el2) {
    const std::uint64_t tcr = el2 ? request.tcr_el2 : request.tcr_el1;
    const bool high = (!el2 || (request.hcr & hcr::kE2h) != 0) && chance(50);
    const std::uint64_t code = tcr >> (high ? 30 : 14) & 3;
    const unsigned granule = high ? (code == 1 ? 14 : code == 3 ? 16 : 12) : (code == 1 ? 16 : code == 2 ? 14 : 12);
    return random_address(granule, static_cast<unsigned>(tcr >> (high ? 16 : 0) & 63), high);
  }

  /// One of these descriptors, changed at random: its address and new value.
  template <typename Read>
  std::pair<std::uint64_t, std::uint64_t> random_change(const std::vector<std::uint64_t>& places, Read read) {
    const std::uint64_t place = places[below(places.size())], old = read(place);
    const std::uint64_t flips[] = {1,          2,          1ULL << 6,  1ULL << 7,  1ULL << 10, 1ULL << 11, 1ULL << 51,
                                   1ULL << 53, 1ULL << 54, 1ULL << 55, 1ULL << 61, 1ULL << 13, 1ULL << 8,  1ULL << 5};
    return {place, chance(20) ? stage_one_entry(static_cast<unsigned>(below(4))) : old ^ one_of(flips)};
  }

 private:
  static constexpr unsigned kStageOneSlots = 32, kStageTwoFirst = 32, kEl2First = 40, kChainFirst = 48;
  static constexpr std::uint64_t kHigh[] = {1ULL << 33, 1ULL << 37, 1ULL << 41, 1ULL << 43, 1ULL << 46};

  static unsigned start_level(unsigned granule, unsigned size) { return 4 - (64 - size - 4) / (granule - 3); }
  static unsigned shift_of(unsigned granule, unsigned level) { return granule + (granule - 3) * (3 - level); }
  std::uint64_t slot_address(unsigned slot) const { return base_ + slot * kSlotBytes; }
  static unsigned el2_slot(unsigned granule, unsigned level) {
    return kEl2First + (granule == 12 ? level : granule == 14 ? 2 + level : 4 + level);  // 0-1, 2-4, 5-6
  }
  static unsigned chain_slot(unsigned granule, unsigned level) { return kChainFirst + (granule - 12) / 2 * 4 + level; }

  /// Six entries in each 4 KB: first, last and middle ones of whatever granule.
  template <typename Entry>
  void fill_slot(unsigned slot, Entry entry) {
    constexpr std::array<std::uint64_t, 6> kIndices = {0, 1, 2, 255, 256, 511};
    for (std::uint64_t part = 0; part < 16; ++part) {
      for (const std::uint64_t index : kIndices) put_(slot_address(place_[slot]) + part * 0x1000 + 8 * index, entry());
    }
  }

  std::uint64_t random_stage_one_table(unsigned level) {
    const unsigned any = static_cast<unsigned>(below(kStageOneSlots));
    if (chance(1)) return 0x1000000000;  // Where there is no memory.
    return slot_address(chance(4) ? any : any / 4 * 4 + level);
  }
  std::uint64_t random_output(bool memory_only) {
    if (chance(50)) return base_ + below(kBytes / 0x1000) * 0x1000;
    const std::uint64_t high = chance(6) ? one_of(kHigh) : 0;
    if (memory_only) return 0x40000000 + below(0x8000) * 0x1000 + high;
    return high + (below(4) << 39) + (below(3) << 30) + (below(3) << 21) + (below(4) << 12);
  }
  std::uint64_t random_low_bits(unsigned level, bool& leaf) {
    leaf = level == 3 || (level != 0 && chance(25)) || chance(1);
    if (chance(3)) return below(4);
    return leaf && level != 3 ? 1 : 3;
  }
  std::uint64_t stage_one_entry(unsigned level) {
    bool leaf = false;
    std::uint64_t entry = random_low_bits(level, leaf);
    entry |= leaf ? random_output(false) : random_stage_one_table(level + 1);
    entry |= below(8) << 2 | below(4) << 6 | one_of({0, 2, 3, 3}) << 8 | (chance(85) ? 1ULL << 10 : 0) | below(2) << 11;
    entry |= (chance(30) ? 1ULL << 51 : 0) | below(8) << 52 | below(16) << 55;
    if (!leaf)
      entry |= (chance(6) ? 1ULL << 59 : 0) | (chance(6) ? 1ULL << 60 : 0) | (chance(6) ? 1ULL << 61 : 0) |
               (chance(6) ? 1ULL << 62 : 0);
    return entry;
  }
  std::uint64_t stage_two_attributes() {
    const std::uint64_t type = chance(80) ? 0xf : one_of({0, 1, 2, 3, 5, 6, 7, 9, 0xa, 0xb, 0xd, 0xe});
    return type << 2 | (chance(80) ? 3 : below(4)) << 6 | one_of({0, 2, 3}) << 8 | (chance(90) ? 1ULL << 10 : 0) |
           (chance(40) ? 1ULL << 51 : 0) | below(8) << 52;
  }
  std::uint64_t stage_two_entry(unsigned level) {
    bool leaf = false;
    std::uint64_t entry = random_low_bits(level, leaf);
    const auto any = static_cast<unsigned>(kStageTwoFirst + below(2) * 4 + (level + 1) % 4);
    entry |= leaf ? random_output(true) : slot_address(any);
    return leaf ? entry | stage_two_attributes() : entry;
  }

  /// Stage 2 of this world's own 4 MB: slot by slot to where it lies, mostly with all rights.
  void make_stage_two_chain(unsigned granule) {
    for (unsigned level = 0; level < 3; ++level) {
      const unsigned slot = chain_slot(granule, level);
      fill_slot(slot, [&] { return stage_two_entry(level); });
      const std::uint64_t stride = granule - 3, entries = 1ULL << stride;
      const std::uint64_t index = base_ >> shift_of(granule, level);
      // The same in each of the tables that may lie side by side at the start level.
      for (std::uint64_t first = 0; first < kSlotBytes / 8; first += entries) {
        const std::uint64_t last_levels = level == 2 && granule == 12 ? 2 : 1;  // 4 MB are two tables of 4 KB pages.
        for (std::uint64_t i = 0; i < last_levels; ++i)
          put_(slot_address(slot) + 8 * (first + (index + i) % entries),
               (slot_address(chain_slot(granule, level + 1)) + i * 0x1000) | 3);
      }
    }
    const std::uint64_t first = granule == 12 ? 0 : (base_ >> granule) % (1ULL << (granule - 3));
    const std::uint64_t pages = kBytes >> granule;
    for (std::uint64_t page = 0; page < pages; ++page) {
      const std::uint64_t offset = page << granule;
      const std::uint64_t place = place_[offset / kSlotBytes] * kSlotBytes + offset % kSlotBytes;
      const std::uint64_t attributes =
          chance(85) ? 0xfULL << 2 | 3ULL << 6 | 3ULL << 8 | 1ULL << 10 : stage_two_attributes();
      put_(slot_address(chain_slot(granule, 3)) + 8 * (first + page),
           (base_ + place) | attributes | (chance(99) ? 3 : 0));
    }
  }

  /// Roots that map 0x40000000 in place, at the level of the granule's largest block.
  void make_el2_chain(unsigned granule) {
    const unsigned block_level = granule == 12 ? 1 : 2;
    for (unsigned level = granule == 16 ? 1 : 0; level <= block_level; ++level) {
      const unsigned slot = el2_slot(granule, level);
      fill_slot(slot, [&] { return stage_one_entry(level); });
      constexpr std::uint64_t kBlock = 0x40000000 | 1 | 1ULL << 10 | 3ULL << 8;
      const std::uint64_t index = 0x40000000ULL >> shift_of(granule, level);
      put_(slot_address(slot) + 8 * index,
           level == block_level ? kBlock : slot_address(el2_slot(granule, level + 1)) | 3);
    }
  }

  unsigned random_granule() { return static_cast<unsigned>(12 + 2 * below(3)); }
  /// T0SZ; mostly within bounds.
  unsigned random_size() {
    if (chance(2)) return static_cast<unsigned>(chance(50) ? 10 + below(6) : 40 + below(3));
    return static_cast<unsigned>(16 + below(24));
  }
  static std::uint64_t granule_code(unsigned granule) { return granule == 12 ? 0 : granule == 14 ? 2 : 1; }
  std::uint64_t lower_code(unsigned granule) { return chance(2) ? 3 : granule_code(granule); }
  std::uint64_t upper_code(unsigned granule) {
    if (chance(2)) return 0;
    return granule == 12 ? 2 : granule == 14 ? 1 : 3;
  }
  std::uint64_t random_address_size() { return chance(75) ? 5 : below(6); }
  /// HA and HD; HD alone means nothing.
  std::uint64_t random_hardware_flags() { return below(4); }
  std::uint64_t random_mair() {
    std::uint64_t mair = 0;
    for (unsigned i = 0; i < 8; ++i)
      mair |= one_of({0x00, 0x04, 0x08, 0x0c, 0x44, 0xff, 0xbb, 0xee, 0x4f, 0xf4, 0xff, 0xaf}) << 8 * i;
    return mair;
  }
  std::uint64_t random_root(unsigned granule, unsigned size) {
    const unsigned level = start_level(granule, std::clamp(size, 16U, 39U));
    const auto any = static_cast<unsigned>(below(kStageOneSlots));
    if (chance(2)) return one_of(kHigh);
    return slot_address(chance(95) ? any / 4 * 4 + level : any);
  }
  void random_stage_two(Request& request) {
    const unsigned granule = random_granule();
    // A start level and an input size that go together, with tables side by side now and then.
    const auto levels = static_cast<unsigned>(chance(90) ? 0 : below(4));
    const unsigned start = levels != 0     ? levels
                           : granule == 12 ? static_cast<unsigned>(below(3))
                                           : 1 + static_cast<unsigned>(below(2));
    const unsigned shift = shift_of(granule, start);
    unsigned bits = shift + 1 + static_cast<unsigned>(below(granule - 3 + 4));
    if (chance(80)) bits = std::clamp(bits, 31U, 48U);
    const std::uint64_t start_code = (granule == 12 ? 2U : 3U) - start;
    request.vtcr = 1ULL << 31 | ((64 - bits) & 63) | (chance(98) ? start_code & 3 : below(4)) << 6 |
                   lower_code(granule) << 14 | random_address_size() << 16 | random_hardware_flags() << 21;
    request.vttbr = slot_address(chain_slot(granule, std::min(start, 3U))) | below(0x100) << 48;
    if (chance(2)) request.vttbr = one_of(kHigh);
  }
  std::uint64_t random_address(unsigned granule, unsigned size, bool high) {
    const unsigned bits = 64 - std::clamp(size, 16U, 39U);
    std::uint64_t address = below(1ULL << granule);
    constexpr std::array<std::uint64_t, 6> kIndices = {0, 1, 2, 255, 256, 511};
    for (unsigned level = start_level(granule, std::clamp(size, 16U, 39U)); level <= 3; ++level) {
      const std::uint64_t parts = 1ULL << (granule - 12);
      const std::uint64_t index = below(parts) * 512 + kIndices[below(6)];
      address |= index % (1ULL << (granule - 3)) << shift_of(granule, level);
    }
    address &= (1ULL << bits) - 1;
    if (high) address |= ~((1ULL << bits) - 1);
    if (chance(3)) address ^= 1ULL << (bits + below(64 - bits));
    if (chance(15)) address ^= below(0x100) << 56;
    return address;
  }

  std::mt19937_64 random_;
  std::uint64_t base_;
  bool nested_;
  Put put_;
  std::array<unsigned, kSlots> place_{};
};

}  // namespace shearling::arm::testing
