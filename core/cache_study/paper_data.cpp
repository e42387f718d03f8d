// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/cache_study/paper_data.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/machine/description_files.h"
#include "core/machine/yaml_reader.h"

namespace shearling {

namespace {

namespace fs = std::filesystem;

// --- files -----------------------------------------------------------------------------------------------------------

struct TextFile {
  std::string path, text;
};

Result<TextFile> read_paper_file(const std::string& name) {
  std::error_code error;
  for (const fs::path& folder : asset_folders("cache", "SHEARLING_CACHE_DIR", SHEARLING_CACHE_ASSETS)) {
    const fs::path path = (folder / "paper" / name).lexically_normal();
    if (!fs::is_regular_file(path, error)) continue;
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    if (stream) return TextFile{path.string(), text.str()};
  }
  return Diagnostic{name, 0, 0, "this file of assets/cache/paper is not there", "is the installation complete?"};
}

// --- numbers ---------------------------------------------------------------------------------------------------------

std::optional<double> parse_real(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool good = error == std::errc{} && end == text.data() + text.size() && std::isfinite(number);
  return good ? std::optional(number) : std::nullopt;
}

double real_of(YamlReader& yaml, const YAML::Node& node, std::string_view what) {
  const auto number = node.IsScalar() ? parse_real(node.Scalar()) : std::nullopt;
  if (!number) yaml.fail(node, std::string(what) + " must be a number", "for example 0.047");
  return number.value_or(0);
}

/// A key that must be there.
YAML::Node member(YamlReader& yaml, const YAML::Node& mapping, const char* key) {
  const YAML::Node node = mapping[key];
  if (node.IsDefined()) return node;
  yaml.fail(mapping, std::string("'") + key + "' is missing", std::string("add '") + key + ":'");
  return YAML::Node(YAML::NodeType::Null);
}

double real_member(YamlReader& yaml, const YAML::Node& mapping, const char* key) {
  const YAML::Node node = member(yaml, mapping, key);
  return node.IsNull() ? 0 : real_of(yaml, node, std::string("'") + key + "'");
}

std::string text_member(YamlReader& yaml, const YAML::Node& mapping, const char* key) {
  std::string text;
  if (!member(yaml, mapping, key).IsNull()) yaml.read(mapping, key, text);
  return text;
}

unsigned whole_member(YamlReader& yaml, const YAML::Node& mapping, const char* key) {
  unsigned number = 0;
  if (!member(yaml, mapping, key).IsNull()) yaml.read(mapping, key, number);
  return number;
}

std::uint64_t bytes_member(YamlReader& yaml, const YAML::Node& mapping, const char* key) {
  std::uint64_t bytes = 0;
  if (!member(yaml, mapping, key).IsNull()) yaml.read_bytes(mapping, key, bytes);
  return bytes;
}

std::uint64_t bytes_key(YamlReader& yaml, const YAML::Node& key) {
  const auto bytes = key.IsScalar() ? parse_byte_size(key.Scalar()) : std::nullopt;
  if (!bytes) yaml.fail(key, "this key must be a size", "for example 32 KB");
  return bytes.value_or(0);
}

template <typename Value, typename Read>
Result<Value> parsed(const std::string& text, const std::string& file, Read read) {
  YamlReader yaml(file);
  const std::vector<YAML::Node> documents = yaml.load(text);
  Value value{};
  if (!yaml.failed() && documents.size() == 1)
    read(yaml, documents.front(), value);
  else if (!yaml.failed())
    yaml.fail_at(1, 1, "one YAML document is expected here", "remove the others");
  if (yaml.failed()) return yaml.diagnostics().front();
  return value;
}

// --- figures ---------------------------------------------------------------------------------------------------------

/// A number, [mean, least, greatest], or ~ where the figure has no bar.
std::optional<FigureValue> read_value(YamlReader& yaml, const YAML::Node& node) {
  if (node.IsNull()) return std::nullopt;
  if (!node.IsSequence()) {
    const double value = real_of(yaml, node, "a value");
    return FigureValue{value, value, value};
  }
  if (node.size() == 3)
    return FigureValue{real_of(yaml, node[0], "a mean"), real_of(yaml, node[1], "the least value"),
                       real_of(yaml, node[2], "the greatest value")};
  yaml.fail(node, "a value with its range has three numbers", "write [mean, least, greatest]");
  return std::nullopt;
}

void read_values(YamlReader& yaml, const YAML::Node& rows, FigurePanel& panel) {
  if (!rows.IsMap()) return yaml.fail(rows, "'values' must be a mapping", "write 'category: [value, ...]' lines");
  for (const auto& row : rows) {
    panel.categories.push_back(yaml.scalar(row.first, "a category").value_or(""));
    if (!yaml.is_list(row.second, "a row of values")) continue;
    if (row.second.size() != panel.series.size()) {
      yaml.fail(row.second, "this row has not one value a series", "write ~ where there is none");
      continue;
    }
    for (std::size_t i = 0; i < panel.series.size(); ++i)
      panel.series[i].cells.push_back({.paper = read_value(yaml, row.second[i]), .model = {}});
  }
}

void read_panel(YamlReader& yaml, const YAML::Node& node, PaperFigure& paper) {
  static constexpr std::array<std::string_view, 5> kKeys{"title", "axis", "provenance", "series", "values"};
  static constexpr std::array<std::string_view, 2> kProvenances{"digitised", "paper"};
  if (!yaml.is_mapping(node, "a panel", kKeys)) return;
  FigurePanel panel{.title = text_member(yaml, node, "title"),
                    .axis = text_member(yaml, node, "axis"),
                    .categories = {},
                    .series = {}};
  std::size_t provenance = 0;
  if (!member(yaml, node, "provenance").IsNull()) yaml.read_choice(node, "provenance", kProvenances, provenance);
  const YAML::Node series = member(yaml, node, "series");
  if (yaml.is_list(series, "'series'")) {
    for (const YAML::Node& name : series) panel.series.push_back({yaml.scalar(name, "a series").value_or(""), {}});
  }
  read_values(yaml, member(yaml, node, "values"), panel);
  paper.figure.panels.push_back(std::move(panel));
  paper.provenance.emplace_back(kProvenances[provenance]);
}

void read_paper_figure(YamlReader& yaml, const YAML::Node& root, PaperFigure& paper) {
  static constexpr std::array<std::string_view, 4> kKeys{"figure", "title", "panels", "text"};
  static constexpr std::array<std::string_view, 2> kTextKeys{"source", "says"};
  if (!yaml.is_mapping(root, "a figure", kKeys)) return;
  paper.figure.number = static_cast<int>(whole_member(yaml, root, "figure"));
  paper.figure.title = text_member(yaml, root, "title");
  const YAML::Node panels = member(yaml, root, "panels");
  if (yaml.is_list(panels, "'panels'")) {
    for (const YAML::Node& panel : panels) read_panel(yaml, panel, paper);
  }
  for (const YAML::Node& one : root["text"]) {
    if (yaml.is_mapping(one, "a statement", kTextKeys))
      paper.text.push_back({text_member(yaml, one, "source"), text_member(yaml, one, "says")});
  }
}

// --- inputs ----------------------------------------------------------------------------------------------------------

void read_latencies(YamlReader& yaml, const YAML::Node& list, StudyInputs& inputs) {
  static constexpr std::array<std::string_view, 4> kKeys{"size", "ghz", "all-ways", "partition"};
  if (!yaml.is_list(list, "'latencies'")) return;
  for (const YAML::Node& row : list) {
    if (!yaml.is_mapping(row, "a row of Table III", kKeys)) continue;
    inputs.latencies.push_back({.size = bytes_member(yaml, row, "size"),
                                .ghz = real_member(yaml, row, "ghz"),
                                .all_ways = whole_member(yaml, row, "all-ways"),
                                .partition = whole_member(yaml, row, "partition")});
  }
}

std::vector<unsigned> whole_numbers(YamlReader& yaml, const YAML::Node& list, std::string_view what) {
  std::vector<unsigned> numbers;
  if (!yaml.is_list(list, what)) return numbers;
  for (const YAML::Node& node : list) {
    const auto number = node.IsScalar() ? parse_number(node.Scalar()) : std::nullopt;
    if (!number || *number > 1024) yaml.fail(node, "a whole number is expected here", "from 0 to 1024");
    numbers.push_back(static_cast<unsigned>(number.value_or(0)));
  }
  return numbers;
}

/// The table of one quantity over size and ways, into the member of Array that holds it.
void read_array_table(YamlReader& yaml, const YAML::Node& table, const std::vector<unsigned>& ways,
                      double StudyInputs::Array::*quantity, std::vector<StudyInputs::Array>& arrays) {
  if (!table.IsMap()) return yaml.fail(table, "a table of sizes is expected here", "write 'size: [number, ...]' lines");
  for (const auto& row : table) {
    const std::uint64_t size = bytes_key(yaml, row.first);
    if (!yaml.is_list(row.second, "a row")) continue;
    for (std::size_t i = 0; i < std::min(ways.size(), row.second.size()); ++i) {
      if (row.second[i].IsNull()) continue;
      auto found = std::find_if(arrays.begin(), arrays.end(),
                                [&](const auto& one) { return one.size == size && one.ways == ways[i]; });
      if (found == arrays.end()) found = arrays.insert(found, {.size = size, .ways = ways[i]});
      *found.*quantity = real_of(yaml, row.second[i], "a cell");
    }
  }
}

void read_arrays(YamlReader& yaml, const YAML::Node& node, StudyInputs& inputs) {
  static constexpr std::array<std::string_view, 3> kKeys{"ways", "energy", "time"};
  if (!yaml.is_mapping(node, "'arrays'", kKeys)) return;
  const std::vector<unsigned> ways = whole_numbers(yaml, member(yaml, node, "ways"), "'ways'");
  read_array_table(yaml, member(yaml, node, "energy"), ways, &StudyInputs::Array::energy, inputs.arrays);
  read_array_table(yaml, member(yaml, node, "time"), ways, &StudyInputs::Array::time, inputs.arrays);
}

void read_machine(YamlReader& yaml, const YAML::Node& node, StudyInputs::Machine& machine) {
  static constexpr std::array<std::string_view, 10> kKeys{"llc-size",    "llc-ways",  "llc-ns",        "llc-energy",
                                                          "llc-leakage", "memory-ns", "memory-energy", "memory-leakage",
                                                          "l1-tlb-ns",   "l2-tlb-ns"};
  if (!yaml.is_mapping(node, "'machine'", kKeys)) return;
  machine.llc_size = bytes_member(yaml, node, "llc-size");
  machine.llc_ways = whole_member(yaml, node, "llc-ways");
  struct Real {
    const char* key;
    double StudyInputs::Machine::*place;
  };
  using M = StudyInputs::Machine;
  for (const Real& one :
       {Real{"llc-ns", &M::llc_ns}, Real{"llc-energy", &M::llc_energy}, Real{"llc-leakage", &M::llc_leakage},
        Real{"memory-ns", &M::memory_ns}, Real{"memory-energy", &M::memory_energy},
        Real{"memory-leakage", &M::memory_leakage}, Real{"l1-tlb-ns", &M::l1_tlb_ns}, Real{"l2-tlb-ns", &M::l2_tlb_ns}})
    machine.*one.place = real_member(yaml, node, one.key);
}

void read_core(YamlReader& yaml, const YAML::Node& tlbs, const YAML::Node& timing, const char* name,
               StudyInputs::Core& core) {
  static constexpr std::array<std::string_view, 3> kTlbKeys{"base", "superpage", "second"};
  static constexpr std::array<std::string_view, 4> kTimingKeys{"base-cycles", "load-exposure", "window-cycles",
                                                               "miss-overlap"};
  const YAML::Node tlb = member(yaml, tlbs, name);
  if (yaml.is_mapping(tlb, "a set of TLBs", kTlbKeys))
    core.tlbs = {whole_member(yaml, tlb, "base"), whole_member(yaml, tlb, "superpage"),
                 whole_member(yaml, tlb, "second")};
  const YAML::Node one = member(yaml, timing, name);
  if (!yaml.is_mapping(one, "a core's timing", kTimingKeys)) return;
  core.base_cycles = real_member(yaml, one, "base-cycles");
  core.load_exposure = real_member(yaml, one, "load-exposure");
  core.window_cycles = real_member(yaml, one, "window-cycles");
  core.miss_overlap = real_member(yaml, one, "miss-overlap");
}

void read_cores(YamlReader& yaml, const YAML::Node& root, StudyInputs& inputs) {
  static constexpr std::array<std::string_view, 2> kTlbKeys{"in-order", "out-of-order"};
  static constexpr std::array<std::string_view, 3> kTimingKeys{"instructions-per-reference", "in-order",
                                                               "out-of-order"};
  const YAML::Node tlbs = member(yaml, root, "tlbs");
  const YAML::Node timing = member(yaml, root, "timing");
  if (!yaml.is_mapping(tlbs, "'tlbs'", kTlbKeys) || !yaml.is_mapping(timing, "'timing'", kTimingKeys)) return;
  inputs.instructions_per_reference = real_member(yaml, timing, "instructions-per-reference");
  read_core(yaml, tlbs, timing, "in-order", inputs.in_order);
  read_core(yaml, tlbs, timing, "out-of-order", inputs.out_of_order);
}

void read_pipt(YamlReader& yaml, const YAML::Node& node, StudyInputs& inputs) {
  static constexpr std::array<std::string_view, 2> kKeys{"ways", "tlbs"};
  static constexpr std::array<std::string_view, 2> kTlbKeys{"share", "ns"};
  if (!yaml.is_mapping(node, "'pipt'", kKeys)) return;
  inputs.pipt_ways = whole_numbers(yaml, member(yaml, node, "ways"), "'ways'");
  const YAML::Node tlbs = member(yaml, node, "tlbs");
  if (!yaml.is_list(tlbs, "'tlbs'")) return;
  for (const YAML::Node& tlb : tlbs) {
    if (yaml.is_mapping(tlb, "a TLB", kTlbKeys))
      inputs.pipt_tlbs.push_back({.share = real_member(yaml, tlb, "share"), .ns = real_member(yaml, tlb, "ns")});
  }
}

void read_inputs(YamlReader& yaml, const YAML::Node& root, StudyInputs& inputs) {
  static constexpr std::array<std::string_view, 8> kKeys{"latencies", "arrays", "leakage", "partition-saving",
                                                         "machine",   "tlbs",   "timing",  "pipt"};
  if (!yaml.is_mapping(root, "the model's inputs", kKeys)) return;
  read_latencies(yaml, member(yaml, root, "latencies"), inputs);
  read_arrays(yaml, member(yaml, root, "arrays"), inputs);
  for (const auto& entry : member(yaml, root, "leakage"))
    inputs.leakage[bytes_key(yaml, entry.first)] = real_of(yaml, entry.second, "a leakage");
  inputs.partition_saving = real_member(yaml, root, "partition-saving");
  read_machine(yaml, member(yaml, root, "machine"), inputs.machine);
  read_cores(yaml, root, inputs);
  read_pipt(yaml, member(yaml, root, "pipt"), inputs);
}

}  // namespace

const std::vector<int>& figure_numbers() {
  static const std::vector<int> kNumbers{2, 3, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return kNumbers;
}

Result<PaperFigure> parse_paper_figure(const std::string& yaml, const std::string& file) {
  return parsed<PaperFigure>(yaml, file, read_paper_figure);
}

Result<PaperFigure> load_paper_figure(int number) {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "figure-%02d.yaml", number);
  const auto file = read_paper_file(name.data());
  if (!file) return file.error();
  return parse_paper_figure(file.value().text, file.value().path);
}

Result<StudyInputs> parse_study_inputs(const std::string& yaml, const std::string& file) {
  return parsed<StudyInputs>(yaml, file, read_inputs);
}

Result<StudyInputs> load_study_inputs() {
  const auto file = read_paper_file("model-inputs.yaml");
  if (!file) return file.error();
  return parse_study_inputs(file.value().text, file.value().path);
}

std::optional<StudyInputs::Latency> StudyInputs::latency(std::uint64_t size, double ghz) const {
  const auto found = std::find_if(latencies.begin(), latencies.end(), [&](const Latency& one) {
    return one.size == size && std::abs(one.ghz - ghz) < 1e-9;
  });
  return found == latencies.end() ? std::nullopt : std::optional(*found);
}

std::optional<StudyInputs::Array> StudyInputs::array(std::uint64_t size, unsigned ways) const {
  const auto found = std::find_if(arrays.begin(), arrays.end(),
                                  [&](const Array& one) { return one.size == size && one.ways == ways; });
  return found == arrays.end() ? std::nullopt : std::optional(*found);
}

}  // namespace shearling
