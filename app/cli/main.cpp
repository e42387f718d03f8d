// SPDX-License-Identifier: GPL-3.0-or-later
//
// The command line: a stable contract, told in docs/command-line.md.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>

#include "app/cli/cli.h"
#include "core/events/spelling.h"
#include "core/export/exporter.h"
#include "isa-arm/isa_arm.h"
#include "isa-x86/isa_x86.h"

namespace {

using namespace shearling;
using namespace shearling::cli;

constexpr const char* kJsonHelp = "write the result as JSON to a file, or '-' for standard output";

void add_guest_options(CLI::App& command, GuestOptions& options) {
  command.add_option("--vmm", options.vmm, "the technique: bare is no VMM, the others are those of the guest's ISA")
      ->check(CLI::IsMember(technique_names()))
      ->capture_default_str();
  command.add_option("--paging", options.paging, "how a VMM maps guest memory")
      ->check(CLI::IsMember({"nested"}))
      ->capture_default_str();
  command.add_option("--machine", options.machine, "a built-in machine, or a YAML file")->default_str("by the guest");
}

void add_run(CLI::App& app, RunOptions& options) {
  CLI::App& command = *app.add_subcommand("run", "run a guest to its end; its console goes to standard output");
  command.add_option("GUEST", options.guest.guest, "an ELF image, or the name of a built guest")->required();
  add_guest_options(command, options.guest);
  command.add_option("--limit", options.limit, "stop after so many instructions")->check(CLI::PositiveNumber);
  command.add_option("--record", options.record, "record the run into a file");
  command.add_option("--json", options.json, kJsonHelp);
  command.add_flag("--fast", options.fast, "direct execution: leave TLBs and caches out");
  command.footer(
      "Examples:\n  shearling run kernel\n  shearling run kernel --vmm vt-x --record kernel.run\n  shearling run "
      "my-guest.elf --limit 1000000 --json -");
}

void add_step(CLI::App& app, StepOptions& options) {
  CLI::App& command = *app.add_subcommand("step", "show every event of some steps");
  command.add_option("GUEST", options.guest.guest, "an ELF image, the name of a built guest, or a run file")
      ->required();
  add_guest_options(command, options.guest);
  command.add_option("--at", options.at, "the first step: a number, a symbol (when it is reached first), or mark:N")
      ->capture_default_str();
  command.add_option("--count", options.count, "how many steps")->check(CLI::PositiveNumber)->capture_default_str();
  command.add_option("--json", options.json, kJsonHelp);
  command.footer(
      "Examples:\n  shearling step cpuid-trap --vmm vt-x --at the_cpuid\n  shearling step page-walk --vmm vt-x --at "
      "the_cold_load --json -\n  shearling step kernel.run --at 120000 --count 5");
}

void add_export(CLI::App& app, ExportCommandOptions& options) {
  CLI::App& command = *app.add_subcommand("export", "write a recorded run for other tools");
  command.add_option("FILE", options.run_file, "a run file made with 'run --record'")->required();
  command
      .add_option("--format", options.format,
                  "chrome (ui.perfetto.dev opens it), csv; or memory references: trace, din, xdin")
      ->check(CLI::IsMember(std::vector<std::string>(export_format_names().begin(), export_format_names().end())))
      ->required();
  command.add_option("--from", options.from, "first step")->capture_default_str();
  command.add_option("--to", options.to, "one past the last step; left out: the end");
  command
      .add_option("--events", options.events,
                  "notable: what the file holds; all: every event, by replay; auto: all for up to 10,000 steps")
      ->check(CLI::IsMember({"auto", "notable", "all"}))
      ->capture_default_str();
  command.add_option("--time", options.time, "what a microsecond of a chrome trace stands for")
      ->check(CLI::IsMember({"cycles", "steps"}))
      ->capture_default_str();
  command.add_option("-o,--output", options.output, "the file to write, or '-' for standard output")->required();
  command.footer(
      "Examples:\n  shearling export kernel.run --format chrome -o kernel.json\n  shearling export kernel.run --format "
      "csv --from 1000 --to 1100 -o -");
}

void add_cache(CLI::App& app, CacheOptions& options) {
  CLI::App& command = *app.add_subcommand("cache", "simulate caches and TLBs on a trace or a generated stream");
  CLI::Option* trace =
      command.add_option("TRACE", options.trace,
                         "a trace file (plain, gzip or zstd), '-' for standard input, or synthetic:NAME,key=value");
  command.add_option("--config", options.config, "a built-in configuration, or a YAML file (docs/cache-study.md)")
      ->capture_default_str();
  command.add_option("--format", options.format, "the trace's format; guessed from its first bytes or lines")
      ->check(CLI::IsMember(trace_format_names()))
      ->capture_default_str();
  command.add_option("--limit", options.limit, "stop after so many records")->check(CLI::PositiveNumber);
  command.add_option("--core-model", options.core_model, "in place of the configuration's timing.core")
      ->check(CLI::IsMember({"in-order", "out-of-order"}));
  command.add_option("--json", options.json, kJsonHelp);
  CLI::Option* list =
      command.add_flag("--list", options.list, "list built-in configurations, TLBs and generated streams");
  command.callback([trace, list] {
    if (trace->empty() && list->empty()) throw CLI::RequiredError("TRACE");
  });
  command.footer(
      "Examples:\n  shearling cache --list\n  shearling cache synthetic:pointer-chase --config seesaw-32k\n  shearling "
      "cache trace.din.gz --config my.yaml --json -\n  valgrind --tool=lackey --trace-mem=yes --log-fd=9 ls 9>&1 "
      ">/dev/null | shearling cache - --config cachegrind");
}

void add_seesaw_merge(CLI::App& seesaw, SeesawOptions& options) {
  CLI::App& merge = *seesaw.add_subcommand("merge", "put the results of shards together");
  merge.add_option("OUTPUT", options.output, "the results file to write or to add to")->required();
  merge.add_option("INPUT", options.merge_inputs, "results files of shards")->required();
}

void add_seesaw(CLI::App& app, SeesawOptions& options) {
  CLI::App& command =
      *app.add_subcommand("seesaw", "the SEESAW paper's figures, model beside paper; sweeps over configurations");
  CLI::Option* figure =
      command.add_option("--figure", options.figure, "2, 3, or 7 to 15; left out: an overview of all");
  command.add_option("--json", options.json, kJsonHelp);
  command.add_option("--references", options.references, "data references of each run; the first quarter warms up")
      ->check(CLI::Range(std::uint64_t{1000}, std::uint64_t{1'000'000'000}));
  command.add_option("--tlbs", options.tlbs, "Table II's TLBs as printed, or with their labels swapped")
      ->check(CLI::IsMember({"printed", "swapped"}))
      ->capture_default_str();
  command
      .add_option("--tft-fill", options.tft_fill,
                  "the filter table is filled with the L1 TLB, as the paper has it, or on every miss of its own")
      ->check(CLI::IsMember({"printed", "every-miss"}))
      ->capture_default_str();
  command.add_option("--jobs", options.jobs, "threads; left out: one a core. Changes no result")
      ->check(CLI::Range(1, 1024));
  CLI::Option* sweep =
      command.add_option("--sweep", options.sweep, "a plan (YAML): run its configurations over its streams");
  CLI::Option* output =
      command.add_option("--output", options.output, "the results file (SQLite); runs that it holds are not repeated");
  CLI::Option* shard = command.add_option("--shard", options.shard, "i/n: every n-th run of the plan, from the i-th");
  command
      .add_flag_callback(
          "--resume", [] {}, "go on where the results file stops: always so, and said for clarity")
      ->needs(sweep);
  command.add_option("--export", options.export_format, "print the results file")->check(CLI::IsMember({"csv"}));
  sweep->needs(output)->excludes(figure);
  shard->needs(sweep);
  add_seesaw_merge(command, options);
  command.footer(
      "Examples:\n  shearling seesaw\n  shearling seesaw --figure 7\n  shearling seesaw --figure 13 --references "
      "4000000 "
      "--json figure-13.json\n  shearling seesaw --sweep plan.yaml --output part-2.sqlite --shard 2/16\n  shearling "
      "seesaw "
      "merge all.sqlite part-*.sqlite\n  shearling seesaw --output all.sqlite --export csv");
}

struct LessonOptions {
  std::string json;
  std::vector<std::string> paths;
  std::string id;
};

void add_lesson(CLI::App& app, LessonOptions& options) {
  CLI::App& command = *app.add_subcommand("lesson", "list lessons, check them, go through one");
  command.require_subcommand(1);
  CLI::App& list = *command.add_subcommand("list", "the lessons that come with the program");
  list.add_option("--json", options.json, kJsonHelp);
  CLI::App& check = *command.add_subcommand("check", "run lessons and judge every expectation");
  check.add_option("PATH", options.paths, "lesson files, folders or ids")->required();
  check.add_option("--json", options.json, kJsonHelp);
  CLI::App& go = *command.add_subcommand("run", "go through a lesson on the terminal");
  go.add_option("ID", options.id, "a lesson's id, file or folder")->required();
  go.add_option("--json", options.json, kJsonHelp);
  command.footer(
      "Examples:\n  shearling lesson list\n  shearling lesson run two-stage-walk\n  shearling lesson check "
      "lessons/*/lesson.md");
}

int run_lesson_command(const CLI::App& lesson, const LessonOptions& options) {
  if (lesson.got_subcommand("list")) return lesson_list(options.json);
  if (lesson.got_subcommand("check")) return lesson_check(options.paths, options.json);
  return lesson_run(options.id, options.json);
}

/// CLI11's complaint as one line; a misspelt command is named, which CLI11 does not do.
int complain_about_usage(const CLI::ParseError& error, std::string_view command) {
  static constexpr std::array<std::string_view, 6> kCommands{"run", "step", "export", "cache", "seesaw", "lesson"};
  const bool is_command =
      command.starts_with('-') || std::find(kCommands.begin(), kCommands.end(), command) != kCommands.end();
  if (!command.empty() && !is_command)
    return complain(Diagnostic{.message = "there is no command '" + std::string(command) + "'",
                               .remedy = spelling_remedy(command, kCommands)});
  std::string what = error.what();
  for (char& letter : what) {
    if (letter == '\n') letter = ' ';
  }
  return complain(
      Diagnostic{.message = what, .remedy = "'shearling --help' and 'shearling COMMAND --help' tell the usage"});
}

int run_program(int argc, char** argv) {
  arm::register_arm();
  x86::register_x86();  // Before the options: they offer what the ISAs can do.
  CLI::App app{"Shearling: a virtual machine monitor that you can stop, look into, and run backwards.", "shearling"};
  app.set_version_flag("--version", "shearling " SHEARLING_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit status: 0 as asked; 1 a lesson or comparison did not hold; 2 wrong usage or a bad file;\n3 the guest "
      "failed; 4 a limit was reached or Ctrl-C was pressed.");
  RunOptions run_options;
  StepOptions step_options;
  ExportCommandOptions export_options;
  CacheOptions cache_options;
  SeesawOptions seesaw_options;
  LessonOptions lesson_options;
  add_run(app, run_options);
  add_step(app, step_options);
  add_export(app, export_options);
  add_cache(app, cache_options);
  add_seesaw(app, seesaw_options);
  add_lesson(app, lesson_options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version);
  } catch (const CLI::ParseError& error) {
    return complain_about_usage(error, argc > 1 ? argv[1] : "");
  }
  catch_interrupts();
  if (app.got_subcommand("run")) return run(run_options);
  if (app.got_subcommand("step")) return step(step_options);
  if (app.got_subcommand("export")) return export_run(export_options);
  if (app.got_subcommand("cache")) return cache_options.list ? cache_list() : cache(cache_options);
  if (app.got_subcommand("seesaw"))
    return app.get_subcommand("seesaw")->got_subcommand("merge") ? seesaw_merge(seesaw_options)
                                                                 : seesaw(seesaw_options);
  return run_lesson_command(*app.get_subcommand("lesson"), lesson_options);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run_program(argc, argv);
  } catch (const std::exception& error) {  // memory has run out, or the like
    std::fprintf(stderr, "shearling: %s\n", error.what());
    return kBadInput;
  }
}
