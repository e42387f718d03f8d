// SPDX-License-Identifier: GPL-3.0-or-later
//
// A machine description as a value: what assets/machines/*.yaml say. It is part of what a run is a function of.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cache-sim/cache_hierarchy.h"
#include "cache-sim/translation_caches.h"
#include "core/base/result.h"

namespace shearling {

/// Cycles of named things; each figure stands with its source in the YAML file. Accounts, not guest-visible time.
struct CostModel {
  std::uint32_t instruction = 1;
  std::map<std::string, std::uint32_t, std::less<>> actions;           ///< "vm.exit", "vm.entry", VMM action names.
  [[nodiscard]] std::uint32_t cost_of(std::string_view action) const;  ///< 0 where the file names no figure.
};

enum class VmmTechnique : std::uint8_t { Bare, VtX, El2, TrapAndEmulate };
enum class GuestPaging : std::uint8_t { Nested };
std::string_view name_of(VmmTechnique);  ///< As on the command line: "bare", "vt-x", "el2", "trap-and-emulate".
std::optional<VmmTechnique> technique_named(std::string_view name);
std::span<const std::string_view> all_technique_names();  ///< By VmmTechnique.
std::string_view name_of(GuestPaging);

struct VmmConfig {
  PageSize nested_page = PageSize::Size4K;  ///< Largest leaf that the VMM uses in EPT: 4K, 2M or 1G.
  bool vpid = true;
  bool nested_accessed_dirty = true;  ///< A and D bits in EPT.
  unsigned virtual_machines = 1;      ///< Copies of the guest that share the machine: 1 or 2. Only el2 has two.
};

/// Where a description says something, for messages about what only the ISA or the board can judge.
struct DescriptionPlace {
  std::string file;  ///< Empty: nowhere; it is the default.
  unsigned line = 0, column = 0;
};

inline constexpr unsigned kMostCpus = 8;

struct MachineConfig {
  std::string name = "pc";
  std::string description;
  std::string isa = "x86-64";
  std::string board = "pc";                ///< Which devices there are: see core/devices/board.h.
  std::uint64_t ram_bytes = 256ULL << 20;  ///< Of the guest. The VMM's own memory lies above it.
  std::uint64_t seed = 1;                  ///< Of every seeded choice.
  unsigned cpus = 1;                       ///< Cores: 1 to kMostCpus.
  unsigned slice = 50;                     ///< Instructions that a core begins before the next one's turn comes.
  std::vector<std::string> cpu_features;   ///< Names from the ISA's table: "pcid", "smep", "smap", "pdpe1gb", ...
  TranslationCachesConfig translation;
  CacheHierarchyConfig caches;
  CostModel costs;
  VmmConfig vmm;
  DescriptionPlace isa_place, board_place, cpus_place;
};

/// Reads a machine description. Unknown or misspelt keys, impossible geometries and wrong types are located errors.
Result<MachineConfig> parse_machine_config(const std::string& yaml, const std::string& file);
/// `name_or_path`: a built-in name ("pc") or a path to a YAML file.
Result<MachineConfig> load_machine_config(const std::string& name_or_path);
/// The YAML text behind the above, as it goes into a run file.
Result<std::string> read_machine_description(const std::string& name_or_path);

/// Names of the built-in machines, sorted.
std::vector<std::string> built_in_machines();

}  // namespace shearling
