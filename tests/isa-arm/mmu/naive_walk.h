// SPDX-License-Identifier: GPL-3.0-or-later
//
// Address translation a second time, as the Arm Architecture Reference Manual's pseudocode goes about it
// (AArch64.FullTranslate, S1Translate, S1Walk, S2Translate, S2Walk, S1DirectBasePermissions, S2HasPermissionsFault):
// one function a step, no caches, no sharing with the MMU under test. Slow and plain.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace shearling::arm::testing {

struct NaiveRegisters {
  std::uint64_t sctlr = 0, tcr = 0, ttbr0 = 0, ttbr1 = 0, mair = 0;
  bool two_ranges = true;  ///< EL1&0, EL2&0
  bool stage_one = true;
  bool stage_two = false;
  std::uint64_t hcr = 0, vtcr = 0, vttbr = 0;
};

struct NaiveAccess {
  std::uint64_t address = 0;
  char kind = 'r';  ///< r, w, x
  bool user = false;
  bool pan = false;
};

struct NaiveFault {
  unsigned status = 0;
  unsigned stage = 1;
  bool on_walk = false, write = false;
  std::uint64_t intermediate = 0;
};

struct NaiveResult {
  std::optional<NaiveFault> fault;
  std::uint64_t physical = 0, intermediate = 0;
  bool device = false;
};

class NaiveMmu {
 public:
  std::uint64_t base = 0;
  std::vector<std::uint64_t> words;
  NaiveRegisters registers;
  unsigned physical_bits = 48;
  bool has_hafdbs = true, has_16k = true, has_xnx = true;

  NaiveResult translate(const NaiveAccess& access) {
    NaiveResult result;
    std::uint64_t intermediate = 0;
    bool device = false;
    if (!registers.stage_one) {
      intermediate = flat(access, result);
      device = access.kind != 'x' && (registers.hcr >> 12 & 1) == 0;
    } else {
      intermediate = stage_one(access, result, device);
    }
    if (result.fault) return result;
    result.intermediate = intermediate;
    result.device = device;
    result.physical = intermediate;
    if (registers.stage_two) result.physical = stage_two(intermediate, access, false, false, result);
    return result;
  }

  std::optional<std::uint64_t> load(std::uint64_t address) const {
    if (address < base || (address - base) / 8 >= words.size()) return std::nullopt;
    return words[(address - base) / 8];
  }
  void store(std::uint64_t address, std::uint64_t value) { words[(address - base) / 8] = value; }

 private:
  static std::uint64_t bits(std::uint64_t value, unsigned high, unsigned low) {
    return value << (63 - high) >> (63 - high + low);
  }

  static void fail(NaiveResult& result, unsigned status, const NaiveAccess& access) {
    result.fault = NaiveFault{.status = status, .write = access.kind == 'w'};
  }

  bool tbi(std::uint64_t address) const {
    if (!registers.two_ranges) return bits(registers.tcr, 20, 20) != 0;
    return bits(address, 55, 55) != 0 ? bits(registers.tcr, 38, 38) != 0 : bits(registers.tcr, 37, 37) != 0;
  }

  std::uint64_t flat(const NaiveAccess& access, NaiveResult& result) const {
    const std::uint64_t address = tbi(access.address) ? bits(access.address, 55, 0) : access.address;
    if (address >> physical_bits != 0) fail(result, 0, access);
    return address;
  }

  unsigned granule_bits(std::uint64_t code, bool upper) const {
    // TG0: 0 4 KB, 1 64 KB, 2 16 KB. TG1: 1 16 KB, 2 4 KB, 3 64 KB.
    const unsigned granule = upper ? (code == 1 ? 14 : code == 3 ? 16 : 12) : (code == 1 ? 16 : code == 2 ? 14 : 12);
    return granule == 14 && !has_16k ? 12 : granule;
  }
  unsigned output_bits(std::uint64_t code) const {
    static constexpr unsigned kBits[] = {32, 36, 40, 42, 44, 48, 52, 52};
    return kBits[code] < physical_bits ? kBits[code] : physical_bits;
  }

  // --- stage 1 -------------------------------------------------------------------------------------------------------

  std::uint64_t stage_one(const NaiveAccess& access, NaiveResult& result, bool& device) {
    const std::uint64_t tcr = registers.tcr, address = access.address;
    const bool upper = registers.two_ranges && bits(address, 55, 55) != 0;
    const unsigned size = static_cast<unsigned>(upper ? bits(tcr, 21, 16) : bits(tcr, 5, 0));
    const unsigned granule = granule_bits(upper ? bits(tcr, 31, 30) : bits(tcr, 15, 14), upper);
    const bool disabled = registers.two_ranges && (upper ? bits(tcr, 23, 23) : bits(tcr, 7, 7)) != 0;
    const unsigned outputs = output_bits(registers.two_ranges ? bits(tcr, 34, 32) : bits(tcr, 18, 16));
    const bool ha = has_hafdbs && (registers.two_ranges ? bits(tcr, 39, 39) : bits(tcr, 21, 21)) != 0;
    const bool hd = ha && (registers.two_ranges ? bits(tcr, 40, 40) : bits(tcr, 22, 22)) != 0;
    if (size < 16 || size > 39 || disabled) return fail(result, 4, access), 0;
    const unsigned inputs = 64 - size;
    for (unsigned bit = inputs; bit < (tbi(address) ? 56U : 64U); ++bit) {
      if ((bits(address, bit, bit) != 0) != upper) return fail(result, 4, access), 0;
    }
    // Levels are counted from the last one: as many as it takes to resolve the address.
    unsigned level = 3;
    while (granule + (granule - 3) * (4 - level) < inputs) --level;
    std::uint64_t table = bits(upper ? registers.ttbr1 : registers.ttbr0, 47, 0);
    if (outputs < 48 && table >> outputs != 0) return fail(result, 0, access), 0;
    const unsigned first_bits = inputs - (granule + (granule - 3) * (3 - level));
    table &= ~((8ULL << first_bits) - 1);

    bool read_only_above = false, no_user_above = false, xn_above = false, pxn_above = false;
    unsigned top = inputs;
    for (;; ++level) {
      const unsigned low = granule + (granule - 3) * (3 - level);
      std::uint64_t at = table + 8 * bits(address, top - 1, low);
      if (registers.stage_two) {
        at = stage_two(at, {.kind = 'r', .user = access.user}, true, false, result);
        if (result.fault) return 0;
      }
      const auto read = load(at);
      if (!read) return fail(result, 20 + level, access), 0;
      const std::uint64_t entry = *read;
      if (bits(entry, 0, 0) == 0) return fail(result, 4 + level, access), 0;
      const bool table_bit = bits(entry, 1, 1) != 0;
      const bool leaf = level == 3 || !table_bit;
      if (level == 3 && !table_bit) return fail(result, 4 + level, access), 0;
      if (level < 3 && !table_bit && level != 2 && !(level == 1 && granule == 12))
        return fail(result, 4 + level, access), 0;
      const std::uint64_t output = leaf ? bits(entry, 47, low) << low : bits(entry, 47, granule) << granule;
      if (outputs < 48 && output >> outputs != 0) return fail(result, level, access), 0;
      if (!leaf) {
        read_only_above = read_only_above || bits(entry, 62, 62) != 0;
        no_user_above = no_user_above || bits(entry, 61, 61) != 0;
        xn_above = xn_above || bits(entry, 60, 60) != 0;
        pxn_above = pxn_above || bits(entry, 59, 59) != 0;
        table = output;
        top = low;
        continue;
      }
      if (bits(entry, 10, 10) == 0 && !ha) return fail(result, 8 + level, access), 0;
      const bool dirty_modifier = hd && bits(entry, 51, 51) != 0;
      const bool writable = !read_only_above && (bits(entry, 7, 7) == 0 || dirty_modifier);
      const bool user_page = registers.two_ranges && bits(entry, 6, 6) != 0 && !no_user_above;
      const bool xn = bits(entry, 54, 54) != 0 || xn_above, pxn = bits(entry, 53, 53) != 0 || pxn_above;
      if (!permitted(access, writable, user_page, xn, pxn)) return fail(result, 12 + level, access), 0;
      std::uint64_t updated = entry;
      if (ha) updated |= 1ULL << 10;
      if (dirty_modifier && access.kind == 'w') updated &= ~(1ULL << 7);
      if (updated != entry) {
        if (registers.stage_two) {
          std::uint64_t place = table + 8 * bits(address, top - 1, low);
          stage_two(place, {.kind = 'w', .user = access.user}, true, true, result);
          if (result.fault) return 0;
        }
        store(at, updated);
      }
      device = bits(registers.mair >> 8 * bits(entry, 4, 2), 7, 4) == 0;
      return output | bits(address, low - 1, 0);
    }
  }

  bool permitted(const NaiveAccess& access, bool writable, bool user_page, bool xn, bool pxn) const {
    const bool wxn = bits(registers.sctlr, 19, 19) != 0;
    if (!registers.two_ranges) {
      if (access.kind == 'x') return !xn && !(wxn && writable);
      return access.kind == 'r' || writable;
    }
    bool privileged_read = true, privileged_write = writable;
    const bool user_read = user_page, user_write = user_page && writable;
    const bool user_execute = !xn && !(wxn && user_write);
    const bool privileged_execute = !pxn && !(wxn && writable) && !user_write;
    if (access.pan && user_page) privileged_read = privileged_write = false;
    if (access.user) return access.kind == 'r' ? user_read : access.kind == 'w' ? user_write : user_execute;
    return access.kind == 'r' ? privileged_read : access.kind == 'w' ? privileged_write : privileged_execute;
  }

  // --- stage 2 -------------------------------------------------------------------------------------------------------

  void fail_two(NaiveResult& result, unsigned status, const NaiveAccess& access, bool on_walk,
                std::uint64_t address) const {
    result.fault = NaiveFault{
        .status = status, .stage = 2, .on_walk = on_walk, .write = access.kind == 'w', .intermediate = address};
  }

  std::uint64_t stage_two(std::uint64_t address, const NaiveAccess& access, bool on_walk, bool, NaiveResult& result) {
    const std::uint64_t vtcr = registers.vtcr;
    const auto failed = [&](unsigned status) {
      fail_two(result, status, access, on_walk, address);
      return std::uint64_t{0};
    };
    const unsigned granule = granule_bits(bits(vtcr, 15, 14), false);
    const unsigned size = static_cast<unsigned>(bits(vtcr, 5, 0));
    const unsigned start_code = static_cast<unsigned>(bits(vtcr, 7, 6));
    const unsigned outputs = output_bits(bits(vtcr, 18, 16));
    const bool ha = has_hafdbs && bits(vtcr, 21, 21) != 0, hd = ha && bits(vtcr, 22, 22) != 0;
    if (size < 16 || size > 39 || 64 - size > physical_bits || start_code == 3) return failed(4);
    const unsigned inputs = 64 - size;
    unsigned level = (granule == 12 ? 2 : 3) - start_code;
    if (granule == 12 && level == 0 && physical_bits < 44) return failed(4);
    if (granule == 14 && level == 1 && physical_bits < 42) return failed(4);
    if (granule == 16 && level == 1 && physical_bits < 44) return failed(4);
    const unsigned below_start = granule + (granule - 3) * (3 - level);
    if (inputs <= below_start || inputs - below_start > granule - 3 + 4) return failed(4);
    if (address >> inputs != 0) return failed(4);
    std::uint64_t table = bits(registers.vttbr, 47, 0);
    if (outputs < 48 && table >> outputs != 0) return failed(0);
    table &= ~((8ULL << (inputs - below_start)) - 1);
    unsigned top = inputs;
    for (;; ++level) {
      const unsigned low = granule + (granule - 3) * (3 - level);
      const std::uint64_t at = table + 8 * bits(address, top - 1, low);
      const auto read = load(at);
      if (!read) return failed(20 + level);
      const std::uint64_t entry = *read;
      const bool table_bit = bits(entry, 1, 1) != 0;
      const bool block_possible = level == 2 || (level == 1 && granule == 12);
      if (bits(entry, 0, 0) == 0 || (level == 3 && !table_bit) || (level < 3 && !table_bit && !block_possible))
        return failed(4 + level);
      const bool leaf = level == 3 || !table_bit;
      const std::uint64_t output = leaf ? bits(entry, 47, low) << low : bits(entry, 47, granule) << granule;
      if (outputs < 48 && output >> outputs != 0) return failed(level);
      if (!leaf) {
        table = output;
        top = low;
        continue;
      }
      if (bits(entry, 10, 10) == 0 && !ha) return failed(8 + level);
      const bool device = bits(entry, 5, 4) == 0;
      const bool dirty_modifier = hd && bits(entry, 51, 51) != 0;
      const bool readable = bits(entry, 6, 6) != 0, writable = bits(entry, 7, 7) != 0 || dirty_modifier;
      bool executable = bits(entry, 54, 54) == 0;
      if (has_xnx) {
        const auto code = bits(entry, 54, 53);
        executable = code == 0 || (code == 1 && access.user) || (code == 3 && !access.user);
      }
      if (on_walk && device && bits(registers.hcr, 2, 2) != 0) return failed(12 + level);
      if (access.kind == 'r' ? !readable : access.kind == 'w' ? !writable : !executable) return failed(12 + level);
      std::uint64_t updated = entry;
      if (ha) updated |= 1ULL << 10;
      if (access.kind == 'w' && dirty_modifier) updated |= 1ULL << 7;
      store(at, updated);
      if (!on_walk) result.device = result.device || device;
      return output | bits(address, low - 1, 0);
    }
  }
};

}  // namespace shearling::arm::testing
