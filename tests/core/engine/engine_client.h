// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the clients of engine tests have in common, whatever the architecture: a page table that is a map, one device
// page, and a record of all that was asked and told.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "core/engine/engine.h"

namespace shearling::test {

struct Mapping {
  std::uint64_t frame = 0;
  bool readable = true, writable = true, executable = true;
};

struct Access {
  std::uint64_t address = 0;
  AccessKind kind = AccessKind::Read;
  unsigned size = 0;
  std::uint64_t value = 0;
  bool operator==(const Access&) const = default;
};

struct Fill {
  std::uint64_t page = 0;
  AccessKind kind = AccessKind::Fetch;
  auto operator<=>(const Fill&) const = default;
};

class RecordingClient : public EngineClient {
 public:
  FillAnswer fill(VirtualAddress address, AccessKind kind) override {
    fills.push_back({address.value / kFrameBytes, kind});
    if (on_fill) on_fill(address.value / kFrameBytes, kind);
    const auto found = pages.find(address.value / kFrameBytes);
    if (found == pages.end()) return {};
    const Mapping& mapping = found->second;
    FillAnswer answer{true, {mapping.frame * kFrameBytes}, mapping.readable, mapping.writable, mapping.executable};
    if (refuse_code_writes && engine != nullptr && engine->holds_code(answer.page)) answer.writable = false;
    return answer;
  }
  void memory_access(PhysicalAddress address, AccessKind kind, unsigned size, std::uint64_t value) override {
    accesses.push_back({address.value, kind, size, value});
  }
  std::uint64_t device_read(PhysicalAddress address, unsigned size) override {
    device.push_back({address.value, AccessKind::Read, size, 0});
    return device_value;
  }
  void device_write(PhysicalAddress address, unsigned size, std::uint64_t value) override {
    device.push_back({address.value, AccessKind::Write, size, value});
  }

  void map(std::uint64_t address, std::uint64_t frame, bool writable = true) {
    pages[address / kFrameBytes] = {frame, true, writable, true};
  }
  void unmap(std::uint64_t address) { pages.erase(address / kFrameBytes); }

  CpuEngine* engine = nullptr;
  std::map<std::uint64_t, Mapping> pages;
  bool refuse_code_writes = false;
  std::function<void(std::uint64_t page, AccessKind kind)> on_fill;
  std::vector<Fill> fills;
  std::vector<Access> accesses;
  std::vector<Access> device;
  std::uint64_t device_value = 0;
  unsigned plans = 0;
};

}  // namespace shearling::test
