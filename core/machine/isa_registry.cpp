// SPDX-License-Identifier: GPL-3.0-or-later
#include <vector>

#include "core/machine/processor.h"

namespace shearling {
namespace {

// Filled once at start-up, before any machine or thread exists; read-only afterwards.
std::vector<const Isa*>& registered() {
  static std::vector<const Isa*> isas;
  return isas;
}

}  // namespace

void register_isa(const Isa& isa) {
  if (find_isa(isa.name()) == nullptr) registered().push_back(&isa);
}

const Isa* find_isa(std::string_view name) {
  for (const Isa* isa : registered()) {
    if (isa->name() == name) return isa;
  }
  return nullptr;
}

std::span<const Isa* const> registered_isas() { return registered(); }

}  // namespace shearling
