// SPDX-License-Identifier: GPL-3.0-or-later
//
// Records a second of every reader and generator, in batches as the simulator reads them. The traces hold one and the
// same synthetic stream with instruction fetches.
#include <benchmark/benchmark.h>
#include <unistd.h>
#include <zlib.h>

#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "cache-sim/streams/open_stream.h"
#include "cache-sim/streams/page_map.h"
#include "cache-sim/streams/trace_writer.h"

namespace {

using namespace shearling;

constexpr const char* kStream = "synthetic:mcf,count=1M";
constexpr std::size_t kBatch = 4096;

std::unique_ptr<ReferenceStream> opened(const std::string& specification) {
  auto stream = open_stream(specification);
  return std::move(std::get<std::unique_ptr<ReferenceStream>>(stream));
}

std::string in_lackey(const ReferenceRecord& record) {
  static constexpr const char* kLetters[] = {"I ", " L", " S", " M"};
  char line[64];
  std::snprintf(line, sizeof line, "%s %08" PRIx64 ",%u\n", kLetters[static_cast<int>(record.kind)],
                record.address.value, record.size);
  return line;
}
std::string in_din(const ReferenceRecord& record) {
  static constexpr const char* kLabels[] = {"2", "0", "1", "0"};
  char line[64];
  std::snprintf(line, sizeof line, "%s %" PRIx64 "\n", kLabels[static_cast<int>(record.kind)], record.address.value);
  return line;
}

/// The traces in a folder of their own, removed at the end.
class Traces {
 public:
  Traces() : folder_(std::filesystem::temp_directory_path() / ("streams_bench." + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
    const auto stream = opened(kStream);
    std::string lackey, din;
    std::ofstream binary(path("binary"), std::ios::binary);
    TraceWriter writer(binary);
    std::vector<ReferenceRecord> batch(kBatch);
    while (const std::size_t count = stream->read(batch)) {
      for (const ReferenceRecord& record : std::span(batch).first(count)) {
        if (!is_reference(record.kind)) continue;
        lackey += in_lackey(record);
        din += in_din(record);
        writer.write(record);
      }
    }
    writer.finish();
    std::ofstream(path("lackey"), std::ios::binary) << lackey;
    std::ofstream(path("din"), std::ios::binary) << din;
    const gzFile zipped = gzopen(path("lackey.gz").c_str(), "wb");
    gzwrite(zipped, lackey.data(), static_cast<unsigned>(lackey.size()));
    gzclose(zipped);
  }
  ~Traces() { std::filesystem::remove_all(folder_); }
  Traces(const Traces&) = delete;
  Traces& operator=(const Traces&) = delete;
  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }

 private:
  std::filesystem::path folder_;
};

void read_all(benchmark::State& state, const std::string& specification) {
  std::vector<ReferenceRecord> batch(kBatch);
  std::int64_t records = 0;
  for (auto _ : state) {
    const auto stream = opened(specification);
    while (const std::size_t count = stream->read(batch)) {
      records += static_cast<std::int64_t>(count);
      benchmark::DoNotOptimize(batch.data());
      benchmark::ClobberMemory();
    }
  }
  state.SetItemsProcessed(records);
}

void translate(benchmark::State& state, const std::string& specification) {
  const auto stream = opened(specification);
  std::vector<ReferenceRecord> records(1'000'000);
  for (std::size_t have = 0; have < records.size();) {
    const std::size_t count = stream->read(std::span(records).subspan(have));
    have = count == 0 ? records.size() : have + count;
  }
  PageMap pages(*stream->suggested_pages());
  for (auto _ : state) {
    for (const ReferenceRecord& record : records) benchmark::DoNotOptimize(pages.translate(record.address, 0));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(records.size()));
}

}  // namespace

int main(int argc, char** argv) {
  const Traces traces;
  for (const char* name : {"lackey", "din", "lackey.gz", "binary"})
    benchmark::RegisterBenchmark((std::string("read/") + name).c_str(), read_all, traces.path(name));
  for (const GeneratorDescription& generator : generators())
    benchmark::RegisterBenchmark(("generate/" + generator.name).c_str(), read_all,
                                 "synthetic:" + generator.name + ",count=1M");
  for (const char* name : {"mcf", "gups"})
    benchmark::RegisterBenchmark((std::string("translate/") + name).c_str(), translate,
                                 std::string("synthetic:") + name + ",count=1M");
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
