// SPDX-License-Identifier: GPL-3.0-or-later
//
// shearling step: every event of some steps, with its narration.
#include <cstdio>
#include <iostream>

#include "app/cli/cli.h"
#include "core/events/reflection.h"
#include "core/lesson/lesson.h"
#include "core/lesson/pattern.h"
#include "core/machine/yaml_reader.h"
#include "core/run_file/event_json.h"
#include "core/run_file/run_file.h"

namespace shearling::cli {

namespace {

constexpr StepIndex kSearchLimit = 1'000'000'000;

Result<MachineSetup> setup_of(const GuestOptions& guest) {
  if (!looks_like_run_file(guest.guest)) return make_setup(guest.guest, technique_of(guest.vmm), guest.machine);
  auto file = RunFile::open(guest.guest);
  if (!file) return file.error();
  return file.value()->info().setup;
}

/// Watches for a lesson mark.
class MarkWatch : public EventSink {
 public:
  explicit MarkWatch(std::uint64_t mark) : mark_(mark) {}
  void on_event(const Event& event) override {
    const auto* mark = std::get_if<LessonMark>(&event.payload);
    seen = seen || (mark != nullptr && mark->mark == mark_);
  }
  bool seen = false;

 private:
  std::uint64_t mark_;
};

/// Puts the machine at a step's number, at a symbol, or behind a mark.
Status go_to(TimeTravel& travel, const std::string& at) {
  Machine& machine = travel.machine();
  if (const auto number = parse_number(at)) {
    if (travel.seek(*number, interrupted()) == *number) return Done{};
    return Diagnostic{
        .message = "the run has no step " + at + ": it ends at step " + std::to_string(machine.position()),
        .remedy = "give a smaller number to --at"};
  }
  const bool is_mark = at.starts_with("mark:");
  const auto mark = is_mark ? parse_number(std::string_view(at).substr(5)) : std::nullopt;
  const auto address = number_of("sym:" + at, machine.image());
  if (!mark && !address)
    return Diagnostic{.message = "--at: '" + at + "' is no step, no symbol of the guest and no mark",
                      .remedy = "for example --at 1200, --at the_cpuid or --at mark:1"};
  MarkWatch watch(mark.value_or(0));
  machine.set_sinks(nullptr, &watch);
  const StopReason reason = travel.run_until(kSearchLimit, Observation::Models, interrupted(), [&] {
    return mark ? watch.seen : machine.processor().program_counter().value == *address;
  });
  machine.set_sinks(nullptr, nullptr);
  if (reason == StopReason::Breakpoint) return Done{};
  return Diagnostic{.message = "the run does not come to '" + at + "': it ends at step " +
                               std::to_string(machine.position()) + " (" + std::string(name_of(reason)) + ")",
                    .remedy = "give another place to --at"};
}

struct SteppedInstruction {
  StepIndex step = 0;
  Actor actor = Actor::GuestKernel;
  std::uint64_t pc = 0;
  std::string place;  ///< "the_cpuid", "print_string+0x12"; empty where no symbol is near.
  std::string text;
  std::vector<Event> events;
};

std::string place_of(const ElfImage& image, std::uint64_t pc) {
  const ElfSymbol* symbol = image.symbol_at(pc);
  if (symbol == nullptr) return {};
  return symbol->value == pc ? symbol->name
                             : symbol->name + "+" + format_value(FieldValue(pc - symbol->value), FieldFormat::Hex);
}

SteppedInstruction take_step(TimeTravel& travel) {
  const Machine& machine = travel.machine();
  const VirtualAddress pc = machine.processor().program_counter();
  auto instructions = machine.processor().disassemble(pc, 1);
  SteppedInstruction stepped{.step = machine.position(),
                             .actor = machine.processor().actor(),
                             .pc = pc.value,
                             .place = place_of(machine.image(), pc.value),
                             .text = {},
                             .events = {}};
  stepped.events = travel.step_forward();
  // A page that a VMM backs on demand can be read only now.
  if (instructions.empty()) instructions = machine.processor().disassemble(pc, 1);
  stepped.text = instructions.empty() ? "?" : instructions.front().text;
  return stepped;
}

void print(const SteppedInstruction& stepped) {
  std::printf("step %llu  %s  0x%llx%s%s%s  %s\n", static_cast<unsigned long long>(stepped.step),
              std::string(name_of(stepped.actor)).c_str(), static_cast<unsigned long long>(stepped.pc),
              stepped.place.empty() ? "" : " <", stepped.place.c_str(), stepped.place.empty() ? "" : ">",
              stepped.text.c_str());
  for (const Event& event : stepped.events)
    std::printf("    %-20s %s\n", std::string(info_of(event).name).c_str(), narrate(event).c_str());
}

nlohmann::ordered_json to_json(const SteppedInstruction& stepped) {
  nlohmann::ordered_json events = nlohmann::ordered_json::array();
  for (const Event& event : stepped.events) events.push_back(event_to_json(event));
  return {{"step", stepped.step},
          {"actor", std::string(name_of(stepped.actor))},
          {"pc", format_value(FieldValue(stepped.pc), FieldFormat::Hex)},
          {"place", stepped.place},
          {"instruction", stepped.text},
          {"events", events}};
}

}  // namespace

int step(const StepOptions& options) {
  Result<MachineSetup> setup = setup_of(options.guest);
  if (!setup) return complain(setup.error());
  Result<std::unique_ptr<Machine>> created = Machine::create(std::move(setup).value());
  if (!created) return complain(created.error());
  Machine& machine = *created.value();
  TimeTravel travel(machine);
  if (const Status status = go_to(travel, options.at); !status) return complain(status.error());

  const bool json_on_output = options.json == "-";
  nlohmann::ordered_json steps = nlohmann::ordered_json::array();
  for (StepIndex left = options.count; left != 0 && !machine.stopped() && !interrupted()->load(); --left) {
    const SteppedInstruction stepped = take_step(travel);
    if (!json_on_output) print(stepped);
    if (!options.json.empty()) steps.push_back(to_json(stepped));
  }
  std::fflush(stdout);
  if (options.json.empty()) return kAsAsked;
  return write_json({{"schema", 1},
                     {"guest", machine.setup().guest_name},
                     {"vmm", std::string(name_of(machine.setup().technique))},
                     {"stop", stop_to_json(machine.stop().reason, machine.stop().code)},
                     {"steps", steps}},
                    options.json);
}

}  // namespace shearling::cli
