// SPDX-License-Identifier: GPL-3.0-or-later
//
// A plan's grammar: base or config, axes, streams, references, warm-up.
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "core/cache_study/sweep.h"
#include "core/machine/description_files.h"
#include "core/machine/yaml_reader.h"

namespace shearling {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostRuns = 1'000'000;
constexpr std::string_view kSynthetic = "synthetic:";

/// One value of an axis: one key, or several that change together.
struct AxisValue {
  std::string label;
  std::vector<std::pair<std::string, YAML::Node>> settings;  ///< Dotted key, value.
  YAML::Node place;
};
struct Axis {
  std::string name;
  std::vector<AxisValue> values;
};

std::string hash_of(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, 64 bits
  for (const char byte : text) hash = (hash ^ static_cast<std::uint8_t>(byte)) * 0x100000001b3;
  std::array<char, 17> digits{};
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(hash));
  return digits.data();
}

std::string on_one_line(const YAML::Node& node) {
  if (node.IsScalar()) return node.Scalar();
  YAML::Emitter emitter;
  emitter.SetMapFormat(YAML::Flow);
  emitter.SetSeqFormat(YAML::Flow);
  emitter << node;
  return emitter.c_str();
}

std::vector<std::string> parts_of(const std::string& dotted) {
  std::vector<std::string> parts;
  std::istringstream stream(dotted);
  for (std::string part; std::getline(stream, part, '.');) parts.push_back(part);
  return parts;
}

/// False where the path leads through something that has no keys.
bool assign(YAML::Node node, const std::vector<std::string>& path, std::size_t depth, const YAML::Node& value) {
  const bool last = depth + 1 == path.size();
  if (node.IsSequence()) {
    const auto index = parse_number(path[depth]);
    if (!index || *index >= node.size()) return false;
    if (!last) return assign(node[static_cast<std::size_t>(*index)], path, depth + 1, value);
    node[static_cast<std::size_t>(*index)] = YAML::Clone(value);
    return true;
  }
  if (!node.IsMap()) return false;
  if (last) {
    node[path[depth]] = YAML::Clone(value);
    return true;
  }
  if (!node[path[depth]].IsDefined()) node[path[depth]] = YAML::Node(YAML::NodeType::Map);
  return assign(node[path[depth]], path, depth + 1, value);
}

class PlanReader {
 public:
  PlanReader(const std::string& file, const CheckConfiguration& check) : yaml_(file), check_(check) {
    plan_.file = file;
  }

  Result<SweepPlan> read(const std::string& text) {
    plan_.yaml = text;
    const std::vector<YAML::Node> documents = yaml_.load(text);
    if (!yaml_.failed() && documents.size() != 1)
      yaml_.fail_at(1, 1, "a plan is one YAML document", "remove the others");
    if (!yaml_.failed()) read_root(documents.front());
    if (yaml_.failed()) return yaml_.diagnostics().front();
    if (base_problem_) return *base_problem_;
    return std::move(plan_);
  }

 private:
  void read_root(const YAML::Node& root) {
    static constexpr std::array<std::string_view, 7> kKeys{"name",    "base",       "config", "axes",
                                                           "streams", "references", "warm-up"};
    if (!yaml_.is_mapping(root, "a plan", kKeys)) return;
    plan_.name = fs::path(plan_.file).stem().string();
    yaml_.read(root, "name", plan_.name);
    yaml_.read(root, "references", plan_.references);
    yaml_.read(root, "warm-up", plan_.warm_up);
    read_streams(root);
    read_base(root);
    if (root["axes"].IsDefined()) read_axes(root["axes"]);
    if (yaml_.failed() || base_problem_) return;
    build(root);
  }

  void read_streams(const YAML::Node& root) {
    const YAML::Node streams = root["streams"];
    if (!streams.IsDefined())
      return yaml_.fail(root, "'streams' is missing", "add 'streams: [synthetic:mcf]', or trace files");
    if (!yaml_.is_list(streams, "'streams'")) return;
    for (const YAML::Node& node : streams) {
      const auto stream = yaml_.scalar(node, "a stream");
      if (!stream) continue;
      if (*stream == "-")
        yaml_.fail(node, "a sweep reads its streams many times, and standard input can be read once", "give a file");
      if (std::find(plan_.streams.begin(), plan_.streams.end(), *stream) != plan_.streams.end())
        yaml_.fail(node, "the stream '" + *stream + "' stands here twice", "keep one of them");
      plan_.streams.push_back(*stream);
    }
    if (streams.size() == 0) yaml_.fail(streams, "a plan needs a stream", "for example synthetic:mcf, or a trace file");
  }

  void read_base(const YAML::Node& root) {
    const bool has_base = root["base"].IsDefined();
    if (has_base == root["config"].IsDefined())
      return yaml_.fail(root, has_base ? "'base' and 'config' are both here" : "'base' or 'config' is missing",
                        "give one of them: 'base: NAME or file', or 'config:' with the configuration itself");
    if (!has_base) {
      base_ = root["config"];
      if (!base_.IsMap()) yaml_.fail(base_, "'config' must be a mapping", "write it as for 'shearling cache --config'");
      return;
    }
    std::string name;
    if (!yaml_.read(root, "base", name)) return;
    const auto path = find_base(name);
    if (!path)
      return yaml_.fail(root["base"], "there is no configuration '" + name + "'",
                        "give a built-in one, or a file beside the plan");
    std::ifstream stream(*path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    if (const Status good = check_(text.str()); !good) {
      base_problem_ = good.error();
      base_problem_->file = path->string();
      return;
    }
    base_ = YAML::Load(text.str());
  }

  /// Beside the plan, or among those that come with the program.
  [[nodiscard]] std::optional<fs::path> find_base(const std::string& name) const {
    std::vector<fs::path> folders = asset_folders("cache", "SHEARLING_CACHE_DIR", SHEARLING_CACHE_ASSETS);
    std::error_code error;
    if (const fs::path beside = fs::path(plan_.file).parent_path() / name; fs::is_regular_file(beside, error))
      return beside;
    for (const fs::path& folder : folders) {
      if (fs::is_regular_file(folder / (name + ".yaml"), error)) return folder / (name + ".yaml");
    }
    return std::nullopt;
  }

  void read_axes(const YAML::Node& axes) {
    if (!axes.IsMap()) return yaml_.fail(axes, "'axes' must be a mapping", "write 'l1d.size: [32 KB, 64 KB]' lines");
    axes_place_ = axes;
    std::set<std::string> seen;
    for (const auto& entry : axes) {
      Axis axis{.name = yaml_.scalar(entry.first, "an axis").value_or(""), .values = {}};
      if (!seen.insert(axis.name).second)
        yaml_.fail(entry.first, "the axis '" + axis.name + "' stands here twice", "keep one of them");
      if (!yaml_.is_list(entry.second, "an axis")) continue;
      if (entry.second.size() == 0) yaml_.fail(entry.second, "an axis needs a value", "write [32 KB, 64 KB]");
      for (const YAML::Node& value : entry.second) axis.values.push_back(read_value(axis.name, value));
      axes_.push_back(std::move(axis));
    }
  }

  static AxisValue read_value(const std::string& axis, const YAML::Node& node) {
    AxisValue value{.label = on_one_line(node), .settings = {}, .place = node};
    if (!node.IsMap()) value.settings.emplace_back(axis, node);
    if (node.IsMap()) {
      for (const auto& entry : node) value.settings.emplace_back(entry.first.Scalar(), entry.second);
    }
    return value;
  }

  void build(const YAML::Node& root) {
    std::size_t configurations = 1;
    for (const Axis& axis : axes_) {
      configurations *= axis.values.size();
      if (configurations * plan_.streams.size() > kMostRuns)
        return yaml_.fail(axes_place_, "this plan has more than " + std::to_string(kMostRuns) + " runs", "split it");
    }
    std::vector<std::size_t> at(axes_.size(), 0);
    std::set<std::string> ids;
    for (std::size_t i = 0; i < configurations && !yaml_.failed(); ++i) {
      SweepConfiguration one = configuration_at(at);
      if (!ids.insert(one.id).second)
        yaml_.fail(axes_.empty() ? root : axes_place_,
                   "two points of the plan are the same configuration (" + description_of(one) + ")",
                   "remove one of the values");
      plan_.configurations.push_back(std::move(one));
      for (std::size_t axis = axes_.size(); axis-- != 0;) {  // the last axis turns fastest
        if (++at[axis] < axes_[axis].values.size()) break;
        at[axis] = 0;
      }
    }
  }

  static std::string description_of(const SweepConfiguration& one) {
    std::string text;
    for (const auto& [name, value] : one.axes)
      text.append(text.empty() ? "" : ", ").append(name).append(": ").append(value);
    return text;
  }

  SweepConfiguration configuration_at(const std::vector<std::size_t>& at) {
    SweepConfiguration one;
    const YAML::Node node = YAML::Clone(base_);
    for (std::size_t i = 0; i < axes_.size(); ++i) {
      const AxisValue& value = axes_[i].values[at[i]];
      one.axes.emplace_back(axes_[i].name, value.label);
      for (const auto& [key, setting] : value.settings) {
        const std::vector<std::string> path = parts_of(key);
        if (path.empty() || !assign(node, path, 0, setting))
          yaml_.fail(value.place, "the key '" + key + "' leads to no place of the configuration",
                     "write it as 'l1d.size', or 'tlb.data.0.entries' for the first of a list");
      }
    }
    YAML::Emitter emitter;
    emitter << node;
    one.yaml = std::string(emitter.c_str()) + "\n";
    one.id = hash_of(one.yaml);
    if (yaml_.failed()) return one;
    if (const Status good = check_(one.yaml); !good) complain_about(one, at, good.error());
    return one;
  }

  /// The complaint is about text that nobody wrote: it is placed at the axis that it names, or at the first.
  void complain_about(const SweepConfiguration& one, const std::vector<std::size_t>& at, const Diagnostic& problem) {
    if (axes_.empty()) return yaml_.fail(base_, problem.message, problem.remedy);
    std::size_t named = 0;
    for (std::size_t i = 0; i < axes_.size(); ++i) {
      for (const auto& [key, setting] : axes_[i].values[at[i]].settings) {
        const std::vector<std::string> path = parts_of(key);
        if (problem.message.find("'" + path.back() + "'") != std::string::npos) named = i;
      }
    }
    yaml_.fail(axes_[named].values[at[named]].place, "with " + description_of(one) + ": " + problem.message,
               problem.remedy);
  }

  YamlReader yaml_;
  const CheckConfiguration& check_;
  SweepPlan plan_;
  YAML::Node base_;
  YAML::Node axes_place_;
  std::vector<Axis> axes_;
  std::optional<Diagnostic> base_problem_;
};

}  // namespace

Result<SweepPlan> parse_sweep_plan(const std::string& yaml, const std::string& file, const CheckConfiguration& check) {
  return PlanReader(file, check).read(yaml);
}

Result<SweepShard> parse_shard(const std::string& text) {
  const std::size_t slash = text.find('/');
  const auto index = parse_number(std::string_view(text).substr(0, slash));
  const auto count = slash == std::string::npos ? std::nullopt : parse_number(std::string_view(text).substr(slash + 1));
  if (index && count && *index >= 1 && *index <= *count && *count <= kMostRuns)
    return SweepShard{static_cast<unsigned>(*index), static_cast<unsigned>(*count)};
  return Diagnostic{.message = "--shard: '" + text + "' is no shard",
                    .remedy = "give i/n with i from 1 to n, for example 2/16"};
}

std::string stream_source(const SweepPlan& plan, const std::string& stream) {
  return stream.starts_with(kSynthetic) ? stream : (fs::path(plan.file).parent_path() / stream).string();
}

std::vector<SweepRun> runs_of(const SweepPlan& plan, SweepShard shard) {
  std::vector<SweepRun> runs;
  std::size_t number = 0;
  for (const SweepConfiguration& configuration : plan.configurations) {
    for (const std::string& stream : plan.streams) {
      if (number++ % shard.count != shard.index - 1) continue;
      runs.push_back({.configuration = &configuration,
                      .stream = stream,
                      .source = stream_source(plan, stream),
                      .configuration_file = plan.file,
                      .references = plan.references,
                      .warm_up = plan.warm_up});
    }
  }
  return runs;
}

}  // namespace shearling
