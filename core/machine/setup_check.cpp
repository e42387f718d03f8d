// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/machine/setup_check.h"

#include <algorithm>

#include "core/loader/elf_image.h"

namespace shearling {
namespace {

Diagnostic at(const DescriptionPlace& place, const std::string& machine_name, std::string message, std::string remedy) {
  return {.file = place.file.empty() ? machine_name : place.file,
          .line = place.line,
          .column = place.column,
          .message = std::move(message),
          .remedy = std::move(remedy)};
}

template <typename Range, typename Name>
std::string list_of(const Range& range, Name name) {
  std::string list;
  for (const auto& element : range) list += (list.empty() ? "" : ", ") + std::string(name(element));
  return list;
}

const Isa* isa_accepting(ElfMachine machine) {
  const auto isas = registered_isas();
  const auto found = std::find_if(isas.begin(), isas.end(), [&](const Isa* isa) { return isa->accepts(machine); });
  return found == isas.end() ? nullptr : *found;
}

Diagnostic not_accepted(const MachineConfig& config, const std::string& machine_name, const ElfImage& image) {
  const Isa* isa = isa_accepting(image.machine);
  return {.file = image.file,
          .message = "this image is for " + std::string(name_of(image.machine)) + ", and the machine " + machine_name +
                     " is " + config.isa,
          .remedy = isa == nullptr ? "take a guest that was built for " + config.isa
                                   : "run it on the machine " + std::string(isa->default_machine()) + " (--machine " +
                                         std::string(isa->default_machine()) + ")"};
}

}  // namespace

Result<const Isa*> check_setup(const MachineConfig& config, const std::string& machine_name, const ElfImage& image,
                               VmmTechnique technique) {
  const Isa* isa = find_isa(config.isa);
  if (isa == nullptr)
    return at(config.isa_place, machine_name, "the machine's ISA '" + config.isa + "' is not built in",
              "use one of " + list_of(registered_isas(), [](const Isa* one) { return one->name(); }));
  if (config.cpus > isa->most_cpus())
    return at(config.cpus_place, machine_name,
              "the machine has " + std::to_string(config.cpus) + " cores, and " + config.isa +
                  " machines have at most " + std::to_string(isa->most_cpus()),
              "write a smaller 'count'");
  if (!isa->accepts(image.machine)) return not_accepted(config, machine_name, image);
  const auto techniques = isa->techniques();
  if (std::find(techniques.begin(), techniques.end(), technique) == techniques.end())
    return Diagnostic{.file = {},
                      .message = config.isa + " has no technique '" + std::string(name_of(technique)) + "'",
                      .remedy = "use one of " + list_of(techniques, [](VmmTechnique one) { return name_of(one); })};
  return isa;
}

Result<std::string> default_machine_for(const ElfImage& image) {
  if (const Isa* isa = isa_accepting(image.machine)) return std::string(isa->default_machine());
  return Diagnostic{
      .file = image.file,
      .message = "this image is for " + std::string(name_of(image.machine)) + ", which this program was not built for",
      .remedy = "use a guest for one of " + list_of(registered_isas(), [](const Isa* one) { return one->name(); })};
}

}  // namespace shearling
