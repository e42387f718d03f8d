// SPDX-License-Identifier: GPL-3.0-or-later
//
// From what a user writes to a stream: a trace file (plain, gzip or zstd, recognised by its first bytes), "-" for
// standard input, or "synthetic:NAME,key=value,..." for a generator.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "cache-sim/streams/reference_stream.h"

namespace shearling {

enum class TraceFormat : std::uint8_t { Guess, Lackey, Din, ExtendedDin, Shearling };

/// Never null where it is no StreamError. A stream may still meet an error later, in what it reads.
using OpenedStream = std::variant<std::unique_ptr<ReferenceStream>, StreamError>;
[[nodiscard]] OpenedStream open_stream(const std::string& specification, TraceFormat format = TraceFormat::Guess);

/// One generator, for help texts and for the study: name, what it stands in for, its parameters with their defaults.
struct GeneratorDescription {
  std::string name;         ///< "pointer-chase", as in "synthetic:pointer-chase,footprint=64M,superpages=0.8".
  std::string description;  ///< One sentence; names the paper's workloads it stands in for.
  struct Parameter {
    std::string name, default_value, description;
  };
  std::vector<Parameter> parameters;
};
[[nodiscard]] const std::vector<GeneratorDescription>& generators();

/// A stand-in for one of the paper's sixteen workloads: "synthetic:mcf,count=1M". Documented choices, none of them made
/// from a result of the paper; the share of superpages is the paper's Figure 3, which describes the machine.
struct WorkloadDescription {
  std::string name;       ///< As the paper's figures call it.
  std::string program;    ///< What it stands in for.
  std::string generator;  ///< And its settings, as in a specification.
  std::string settings;
  std::string reason;
  std::array<double, 4> superpages;  ///< Per cent of the footprint at memhog 0, 40, 60, 80.
};
[[nodiscard]] const std::vector<WorkloadDescription>& workloads();

}  // namespace shearling
