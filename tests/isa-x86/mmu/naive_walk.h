// SPDX-License-Identifier: GPL-3.0-or-later
//
// A page walk as the manual tells it, level by level and spelled out, on a plain array of words: no caches, no events,
// nothing shared with the production code. It sets Accessed and Dirty flags in its own memory.
#pragma once

#include <cstdint>
#include <vector>

namespace shearling::x86::testing {

struct NaiveMachine {
  std::vector<std::uint64_t> words;  ///< RAM from physical address 0.
  std::uint64_t cr3 = 0;
  bool write_protect = false, smep = false, smap = false, no_execute = false, gigabyte = true;
  bool ept = false, ept_flags = false;
  std::uint64_t ept_root = 0;

  std::uint64_t load(std::uint64_t address) const { return address / 8 < words.size() ? words[address / 8] : ~0ULL; }
  void store(std::uint64_t address, std::uint64_t value) {
    if (address / 8 < words.size()) words[address / 8] = value;
  }
};

struct NaiveAccess {
  std::uint64_t address = 0;
  char kind = 'r';    ///< r, w, x
  bool user = false;  ///< Explicit, at CPL 3.
  bool implicit = false, ac = false;
};

struct NaiveResult {
  enum Kind { Ok, PageFault, Violation, Misconfiguration } kind = Ok;
  std::uint64_t physical = 0, guest_physical = 0, page_bytes = 0;
  std::uint32_t error_code = 0;
  std::uint64_t qualification = 0;
};

struct NaiveWalk {
  NaiveMachine& m;
  NaiveAccess a;
  NaiveResult out{};

  // --- EPT ---
  bool ept(std::uint64_t gpa, bool read, bool write, bool fetch, bool table, std::uint64_t& physical,
           std::uint64_t& bytes, bool& may_write, std::uint64_t& rights) {
    if (!m.ept) {
      physical = gpa;
      bytes = 1ULL << 30;
      may_write = true;
      rights = 7;
      return true;
    }
    std::uint64_t table_at = m.ept_root, leaf = 0;
    rights = 7;
    for (int level = 4; level >= 1; --level) {
      const std::uint64_t at = table_at + ((gpa >> (12 + 9 * (level - 1))) & 0x1ff) * 8;
      const std::uint64_t e = m.load(at);
      rights &= e & 7;
      if ((e & 7) == 0) {
        rights = 0;
        return violation(gpa, read, write, fetch, table, 0);
      }
      const bool last = level == 1 || ((level == 2 || level == 3) && (e & 0x80) != 0);
      bool bad = (e & 7) == 2 || (e & 7) == 6 || ((e >> 40) & 0xfff) != 0;
      if (last) {
        const unsigned type = (e >> 3) & 7;
        bad = bad || type == 2 || type == 3 || type == 7;
        if (level == 2) bad = bad || (e & 0x1ff000) != 0;
        if (level == 3) bad = bad || (e & 0x3ffff000) != 0;
      } else {
        bad = bad || (e & 0x78) != 0 || (level == 4 && (e & 0x80) != 0);
      }
      if (bad) {
        out.kind = NaiveResult::Misconfiguration;
        out.guest_physical = gpa;
        return false;
      }
      if (last) {
        bytes = level == 1 ? 4096 : level == 2 ? 2097152 : 1073741824;
        if ((read && !(rights & 1)) || (write && !(rights & 2)) || (fetch && !(rights & 4)))
          return violation(gpa, read, write, fetch, table, rights);
        physical = (e & 0xfffffff000 & ~(bytes - 1)) + gpa % bytes;
        leaf = at;
        break;
      }
      // The flag is set as soon as the entry has been used.
      if (m.ept_flags) m.store(at, m.load(at) | 0x100);
      table_at = e & 0xfffffff000;
    }
    if (m.ept_flags) m.store(leaf, m.load(leaf) | 0x100 | ((write || table) ? 0x200 : 0));
    may_write = (rights & 2) != 0;
    return true;
  }
  bool violation(std::uint64_t gpa, bool read, bool write, bool fetch, bool table, std::uint64_t rights) {
    out.kind = NaiveResult::Violation;
    out.guest_physical = gpa;
    out.qualification = (read ? 1 : 0) | (write ? 2 : 0) | (fetch ? 4 : 0) | rights << 3 | 0x80 | (table ? 0 : 0x100);
    return false;
  }

  // --- stage 1 ---
  void fault(bool present, bool reserved) {
    out.kind = NaiveResult::PageFault;
    out.error_code = (present ? 1u : 0u) | (a.kind == 'w' ? 2u : 0u) | (a.user ? 4u : 0u) | (reserved ? 8u : 0u) |
                     (a.kind == 'x' && (m.no_execute || m.smep) ? 16u : 0u);
  }
  bool flag(std::uint64_t at, std::uint64_t gpa, bool may_write, std::uint64_t rights, std::uint64_t bits) {
    if ((m.load(at) & bits) == bits) return true;
    if (!may_write) return violation(gpa, false, true, false, true, rights);
    m.store(at, m.load(at) | bits);
    return true;
  }

  NaiveResult run() {
    bool user_page = true, writable = true, executable = true;
    std::uint64_t table = m.cr3 & 0xfffffff000, bytes1 = 0, gpa = 0;
    for (int level = 4; level >= 1; --level) {
      const std::uint64_t entry_gpa = table + ((a.address >> (12 + 9 * (level - 1))) & 0x1ff) * 8;
      std::uint64_t at = 0, ignored = 0, rights = 0;
      bool may_write = false;
      if (!ept(entry_gpa, true, m.ept_flags, false, true, at, ignored, may_write, rights)) return out;
      const std::uint64_t e = m.load(at);
      if (!(e & 1)) {
        fault(false, false);
        return out;
      }
      bool reserved = ((e >> 40) & 0xfff) != 0 || (!m.no_execute && (e >> 63));
      const bool ps = (e & 0x80) != 0;
      if (level == 4 && ps) reserved = true;
      if (level == 3 && ps) reserved = reserved || !m.gigabyte || (e & 0x3fffe000) != 0;
      if (level == 2 && ps) reserved = reserved || (e & 0x1fe000) != 0;
      if (reserved) {
        fault(true, true);
        return out;
      }
      user_page = user_page && (e & 4);
      writable = writable && (e & 2);
      executable = executable && !(e >> 63);
      if (level != 1 && !ps) {
        if (!flag(at, entry_gpa, may_write, rights, 0x20)) return out;
        table = e & 0xfffffff000;
        continue;
      }
      bytes1 = level == 1 ? 4096 : level == 2 ? 2097152 : 1073741824;
      gpa = (e & 0xfffffff000 & ~(bytes1 - 1)) + a.address % bytes1;
      bool allowed = true;
      if (a.user) {
        allowed = user_page && (a.kind != 'w' || writable) && (a.kind != 'x' || executable);
      } else {
        if (a.kind == 'w') allowed = writable || !m.write_protect;
        if (a.kind == 'x') allowed = executable && !(m.smep && user_page);
        if (a.kind != 'x' && m.smap && user_page && (a.implicit || !a.ac)) allowed = false;
      }
      if (!allowed) {
        fault(true, false);
        return out;
      }
      if (!flag(at, entry_gpa, may_write, rights, a.kind == 'w' ? 0x60 : 0x20)) return out;
      break;
    }
    std::uint64_t physical = 0, bytes2 = 0, rights = 0;
    bool may_write = false;
    if (!ept(gpa, a.kind == 'r', a.kind == 'w', a.kind == 'x', false, physical, bytes2, may_write, rights)) return out;
    out.physical = physical;
    out.guest_physical = gpa;
    out.page_bytes = bytes1 < bytes2 ? bytes1 : bytes2;
    return out;
  }
};

inline NaiveResult naive_walk(NaiveMachine& machine, const NaiveAccess& access) {
  return NaiveWalk{machine, access}.run();
}

}  // namespace shearling::x86::testing
