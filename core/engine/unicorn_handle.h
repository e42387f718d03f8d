// SPDX-License-Identifier: GPL-3.0-or-later
//
// One instance of Unicorn, with all that is known of what it keeps beside the register file: its soft TLB, its
// translated code, and the plans of it.
#pragma once

#include <unicorn/unicorn.h>

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/engine/code_map.h"
#include "core/engine/unicorn_architecture.h"
#include "core/engine/unicorn_plans.h"

namespace shearling {

class UnicornEngine;

/// What a handle is for; its hooks follow from it.
enum class HandleUse : std::uint8_t { Direct, Stepping, Observed };

/// One Unicorn instance and what is known of the state that it keeps beside the register file.
struct UnicornHandle {
  ~UnicornHandle() {
    if (clean != nullptr) uc_context_free(clean);
    if (scratch != nullptr) uc_context_free(scratch);
    if (uc != nullptr) uc_close(uc);
  }
  [[nodiscard]] bool stepping() const { return use == HandleUse::Stepping; }

  UnicornEngine* engine = nullptr;
  uc_engine* uc = nullptr;
  const UnicornArchitecture* architecture = nullptr;
  HandleUse use = HandleUse::Direct;
  uc_context* clean = nullptr;  ///< As opened, with no exception pending.
  uc_context* scratch = nullptr;
  bool soft_tlb_stale = true;
  std::unordered_set<std::uint64_t> writable;  ///< Direct: frames that the soft TLB may let it store to.
  CodeMap code;
  std::unordered_set<std::uint64_t> suspect;  ///< Frames of `code` whose bytes may have changed.
  bool drop_all = false;
  std::unordered_map<PlanKey, Plan, PlanKeyHash> plans;
  std::unordered_multimap<std::uint64_t, PlanKey> plans_of_frame;
  std::array<FastPlan, kFastPlans> fast;      ///< Observed: of blocks that are noted as translated; charge is the size.
  std::vector<ObservedInstruction> observed;  ///< Observed: kObservedInstructions, direct mapped.
};

/// Unicorn's block hook of direct handles: the one that costs.
void direct_block_hook(uc_engine*, std::uint64_t address, std::uint32_t size, void* user);

/// Opens Unicorn with the engine's RAM, devices everywhere else, and the hooks of its use. Null when that fails.
std::unique_ptr<UnicornHandle> open_handle(UnicornEngine& engine, PhysicalMemory& memory,
                                           const UnicornArchitecture& architecture, HandleUse use);

}  // namespace shearling
