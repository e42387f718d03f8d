// SPDX-License-Identifier: GPL-3.0-or-later
//
// The simulator beside Valgrind's cachegrind on the same programs: the same references, and the same misses of I1, D1
// and LL, to the last one. Both tools see the same execution: an empty environment but for two variables, the same
// input, and Valgrind lays the program out alike whichever tool runs it. Lackey's trace comes through a pipe, and one
// pass of it feeds all geometries.
// What cachegrind does and the simulator follows (LineCrossing::OneReference): a modification is a read; a reference is
// at most as long as the shortest line; where one of its two lines misses, LL sees both, and one access.
#include <sys/stat.h>

#include <QFile>
#include <QProcess>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTest>
#include <array>
#include <deque>

#include "cache-sim/streams/open_stream.h"
#include "tests/cache-sim/simulation/records.h"

using namespace shearling;
using namespace shearling::test;

namespace {

/// As cachegrind's options have it: bytes, ways, bytes a line.
struct Geometry {
  unsigned size, ways, line;
  [[nodiscard]] QString text() const { return QString("%1,%2,%3").arg(size).arg(ways).arg(line); }
  [[nodiscard]] CacheConfig cache(const char* name) const {
    return {.name = name, .size = size, .ways = ways, .line = line, .organisation = CacheOrganisation::Pipt};
  }
};
struct Geometries {
  Geometry i1, d1, ll;
};
constexpr std::array<Geometries, 3> kGeometries{{
    {{32768, 8, 64}, {32768, 8, 64}, {8388608, 16, 64}},  // usual
    {{2048, 1, 32}, {4096, 2, 32}, {32768, 4, 32}},       // small, with short lines: many misses, many crossings
    {{16384, 4, 128}, {8192, 4, 128}, {131072, 8, 128}},  // long lines
}};

SimulationConfig config_of(const Geometries& geometries) {
  SimulationConfig config;
  config.caches.l1i = geometries.i1.cache("L1I");
  config.caches.l1d = geometries.d1.cache("L1D");
  config.caches.last_level = geometries.ll.cache("LLC");
  config.caches.last_level->arrival = WriteBackArrival::Update;
  return config;
}

/// The columns of cachegrind's summary that both have. Cachegrind tells LL's misses by instructions and loads apart.
struct Counts {
  std::uint64_t fetches = 0, fetch_misses = 0, reads = 0, read_misses = 0, writes = 0, write_misses = 0;
  std::uint64_t ll_reads = 0, ll_read_misses = 0, ll_writes = 0, ll_write_misses = 0;
};

QString text_of(const Counts& counts) {
  return QString("I1 %1 (%2 missed)  D1 %3 r (%4) %5 w (%6)  LL %7 r (%8) %9 w (%10)")
      .arg(counts.fetches)
      .arg(counts.fetch_misses)
      .arg(counts.reads)
      .arg(counts.read_misses)
      .arg(counts.writes)
      .arg(counts.write_misses)
      .arg(counts.ll_reads)
      .arg(counts.ll_read_misses)
      .arg(counts.ll_writes)
      .arg(counts.ll_write_misses);
}

Counts counts_of(const SimulationReport& report) {
  const LevelReport &i1 = level(report, "l1i"), &d1 = level(report, "l1d"), &ll = level(report, "llc");
  return {i1.accesses,     i1.misses, d1.reads,       d1.read_misses, d1.writes,
          d1.write_misses, ll.reads,  ll.read_misses, ll.writes,      ll.write_misses};
}

/// Runs `command` in a shell that changes nothing between the two tools.
bool start_shell(QProcess& process, const QString& command) {
  process.setProcessChannelMode(QProcess::ForwardedErrorChannel);
  process.start("/bin/sh", {"-c", command});
  return process.waitForStarted();
}

QString valgrind(const QString& options) {
  static const bool kCanFix = QProcess::execute("setarch", {"-R", "true"}) == 0;
  return QString("exec env -i PATH=/usr/bin:/bin LC_ALL=C %1 valgrind %2").arg(kCanFix ? "setarch -R" : "", options);
}

}  // namespace

class CachegrindTest : public QObject {
  Q_OBJECT

 private:
  QTemporaryDir folder_;

  /// "summary: Ir I1mr ILmr Dr D1mr DLmr Dw D1mw DLmw" of the file that it writes.
  bool run_cachegrind(const QString& program, const Geometries& geometries, Counts& counts) {
    const QString file = folder_.filePath("cachegrind.out");
    QFile::remove(file);
    const QString options =
        QString(
            "-q --tool=cachegrind --cache-sim=yes --I1=%1 --D1=%2 --LL=%3 --cachegrind-out-file=%4 --log-fd=9 %5 "
            "9>/dev/null >/dev/null <%6")
            .arg(geometries.i1.text(), geometries.d1.text(), geometries.ll.text(), file, program, input());
    QProcess process;
    if (!start_shell(process, valgrind(options)) || !process.waitForFinished(300'000)) return false;
    QFile out(file);
    if (!out.open(QIODevice::ReadOnly)) return false;
    const QByteArray text = out.readAll();
    const QList<QByteArray> words = text.mid(text.indexOf("summary:")).simplified().split(' ');
    if (!text.contains("events: Ir I1mr ILmr Dr D1mr DLmr Dw D1mw DLmw") || words.size() != 10) return false;
    const auto column = [&](int i) { return words[i].toULongLong(); };
    counts = {.fetches = column(1),
              .fetch_misses = column(2),
              .reads = column(4),
              .read_misses = column(5),
              .writes = column(7),
              .write_misses = column(8),
              .ll_reads = column(2) + column(5),
              .ll_read_misses = column(3) + column(6),
              .ll_writes = column(8),
              .ll_write_misses = column(9)};
    return true;
  }

  bool run_simulations(const QString& program, std::deque<Simulation>& simulations) {
    const QString pipe = folder_.filePath("trace");
    QFile::remove(pipe);
    if (::mkfifo(pipe.toLocal8Bit().constData(), 0600) != 0) return false;
    const QString options =
        QString("-q --tool=lackey --basic-counts=no --trace-mem=yes --log-fd=9 %1 9>%2 >/dev/null <%3")
            .arg(program, pipe, input());
    QProcess process;
    if (!start_shell(process, valgrind(options))) return false;
    OpenedStream opened = open_stream(pipe.toStdString(), TraceFormat::Lackey);
    auto* stream = std::get_if<std::unique_ptr<ReferenceStream>>(&opened);
    if (stream == nullptr) return false;
    std::vector<ReferenceRecord> batch(4096);
    while (const std::size_t count = (*stream)->read(batch)) {
      for (Simulation& simulation : simulations) {
        for (std::size_t i = 0; i < count; ++i) simulation.take(batch[i]);
      }
    }
    return (*stream)->error() == nullptr && process.waitForFinished(300'000);
  }

  [[nodiscard]] QString input() const { return folder_.filePath("input"); }

 private slots:
  void initTestCase() {
    if (QStandardPaths::findExecutable("valgrind").isEmpty())
      QSKIP("valgrind is not installed: nothing to compare with");
    QFile file(input());
    QVERIFY(file.open(QIODevice::WriteOnly));
    for (unsigned i = 0; i < 1500; ++i) file.write(QByteArray::number(i * i * 2654435761U % 997) + '\n');
  }

  void the_counts_are_cachegrinds_data() {
    QTest::addColumn<QString>("program");
    QTest::newRow("matrices") << SHEARLING_PROGRAMS "/simulated_matrices";
    QTest::newRow("words") << SHEARLING_PROGRAMS "/simulated_words";
    QTest::newRow("unaligned") << SHEARLING_PROGRAMS "/simulated_unaligned";
    QTest::newRow("true") << "/bin/true";
    QTest::newRow("sort") << "sort -n --parallel=1 -S 1M";  // Else it asks how much memory is free.
    QTest::newRow("gzip") << "gzip -c";
  }
  void the_counts_are_cachegrinds() {
    QFETCH(QString, program);
    // A program that asks the machine something can run differently the next time: then both are run again.
    constexpr int kMostTries = 3;
    for (int tries = 1; !compare(program, tries == kMostTries); ++tries) QVERIFY(tries < kMostTries);
  }

 private:
  /// False, and nothing judged unless `last`, where the executions were not the same.
  bool compare(const QString& program, bool last) {
    std::deque<Simulation> simulations;
    for (const Geometries& geometries : kGeometries) simulations.emplace_back(config_of(geometries));
    if (!run_simulations(program, simulations))
      return QTest::qFail("no trace came from lackey", __FILE__, __LINE__), true;
    std::array<Counts, kGeometries.size()> ours, theirs;
    bool same_execution = true;
    for (std::size_t i = 0; i < kGeometries.size(); ++i) {
      ours[i] = counts_of(simulations[i].report());
      if (!run_cachegrind(program, kGeometries[i], theirs[i]))
        return QTest::qFail("cachegrind wrote no summary", __FILE__, __LINE__), true;
      same_execution = same_execution && ours[i].fetches == theirs[i].fetches;
    }
    if (same_execution || last) judge(ours, theirs);
    return same_execution;
  }

  static void judge(const std::array<Counts, kGeometries.size()>& ours,
                    const std::array<Counts, kGeometries.size()>& theirs) {
    for (std::size_t i = 0; i < kGeometries.size(); ++i) {
      QVERIFY(theirs[i].fetches > 50'000 && theirs[i].ll_read_misses > 0);
      QCOMPARE(text_of(ours[i]), text_of(theirs[i]));
    }
  }
};

QTEST_GUILESS_MAIN(CachegrindTest)
#include "cachegrind_test.moc"
