// SPDX-License-Identifier: GPL-3.0-or-later
//
// References of real guests: what the exporter wrote, read back by the cache simulator's readers, is what the events
// told.
#include <QTemporaryDir>
#include <QTest>
#include <fstream>
#include <map>

#include "cache-sim/streams/open_stream.h"
#include "core/export/exporter.h"
#include "core/lesson/lesson.h"
#include "isa-x86/isa_x86.h"

using namespace shearling;

namespace {

constexpr StepIndex kSteps = 60'000;

/// Everything that the exporter gets, and on the side what it should have made of it.
class Witness : public EventSink {
 public:
  explicit Witness(std::vector<Exporter*> exporters) : exporters_(std::move(exporters)) {}
  void on_event(const Event& event) override {
    for (Exporter* exporter : exporters_) exporter->on_event(event);
    if (const auto* fetch = std::get_if<InstructionFetched>(&event.payload); fetch != nullptr && fetch->length != 0)
      expected.push_back({.address = fetch->pc,
                          .physical = fetch->physical_address,
                          .size = fetch->length,
                          .kind = RecordKind::Fetch});
    if (const auto* access = std::get_if<MemoryAccess>(&event.payload))
      expected.push_back({.address = access->virtual_address,
                          .physical = access->physical_address,
                          .size = access->size,
                          .kind = access->access == AccessKind::Write ? RecordKind::Write : RecordKind::Read});
    walk_references += std::holds_alternative<WalkReference>(event.payload);
  }
  std::vector<ReferenceRecord> expected;
  std::uint64_t walk_references = 0;

 private:
  std::vector<Exporter*> exporters_;
};

std::vector<ReferenceRecord> read_back(const std::string& file) {
  auto opened = open_stream(file);
  if (const auto* error = std::get_if<StreamError>(&opened)) qFatal("%s", error->message.c_str());
  ReferenceStream& stream = *std::get<std::unique_ptr<ReferenceStream>>(opened);
  std::vector<ReferenceRecord> records, batch(4096);
  while (const std::size_t count = stream.read(batch))
    records.insert(records.end(), batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(count));
  if (stream.error() != nullptr) qFatal("%s", stream.error()->message.c_str());
  return records;
}

/// References alone; the two parts of an instruction that crosses into another page are joined again.
std::vector<ReferenceRecord> joined(const std::vector<ReferenceRecord>& records,
                                    const std::vector<ReferenceRecord>& expected) {
  std::vector<ReferenceRecord> references;
  for (const ReferenceRecord& record : records) {
    if (!is_reference(record.kind)) continue;
    const bool second_part = !references.empty() && record.kind == RecordKind::Fetch &&
                             references.back().kind == RecordKind::Fetch && record.address.value % kFrameBytes == 0 &&
                             references.back().size < expected[references.size() - 1].size;
    if (second_part)
      references.back().size += record.size;
    else
      references.push_back(record);
  }
  return references;
}

}  // namespace

class ReferenceExportTest : public QObject {
  Q_OBJECT

 private slots:
  void initTestCase() {
    qputenv("SHEARLING_GUEST_DIR", SHEARLING_BINARY_DIR "/guests");
    x86::register_x86();
  }

  void a_guests_references_are_read_back_as_the_events_told_them_data() {
    QTest::addColumn<QString>("guest");
    QTest::addColumn<VmmTechnique>("technique");
    QTest::newRow("compute bare") << "compute" << VmmTechnique::Bare;
    QTest::newRow("kernel bare") << "kernel" << VmmTechnique::Bare;
    QTest::newRow("kernel vt-x") << "kernel" << VmmTechnique::VtX;
    QTest::newRow("seesaw bare") << "seesaw" << VmmTechnique::Bare;
  }
  void a_guests_references_are_read_back_as_the_events_told_them() {
    QFETCH(QString, guest);
    QFETCH(VmmTechnique, technique);
    const auto setup = make_setup(guest.toStdString(), technique, "pc");
    QVERIFY2(bool(setup), setup ? "" : setup.error().text().c_str());
    const auto machine = Machine::create(setup.value());
    QVERIFY(bool(machine));

    QTemporaryDir folder;
    const auto path = [&](const char* name) { return folder.filePath(name).toStdString(); };
    std::ofstream trace(path("trace"), std::ios::binary), din(path("din")), extended(path("xdin"));
    const auto as_trace = Exporter::make(trace, {.format = export_format_of("trace")});
    const auto as_din = Exporter::make(din, {.format = export_format_of("din")});
    const auto as_extended = Exporter::make(extended, {.format = export_format_of("xdin")});
    Witness witness({as_trace.get(), as_din.get(), as_extended.get()});
    machine.value()->set_sinks(&witness, nullptr);
    machine.value()->run_until(kSteps, Observation::Events);
    for (Exporter* exporter : {as_trace.get(), as_din.get(), as_extended.get()})
      exporter->finish(machine.value()->position());
    trace.close();
    din.close();
    extended.close();

    const std::vector<ReferenceRecord> records = read_back(path("trace"));
    const std::vector<ReferenceRecord> references = joined(records, witness.expected);
    QVERIFY(witness.walk_references > 0);
    QVERIFY(references.size() > 1000);
    QCOMPARE(references.size(), witness.expected.size());
    for (std::size_t i = 0; i < references.size(); ++i) {
      const ReferenceRecord &got = references[i], &expected = witness.expected[i];
      QVERIFY(got.kind == expected.kind && got.address == expected.address && got.physical == expected.physical);
      QCOMPARE(got.size, expected.size);
      QVERIFY(got.translated);
      QCOMPARE((got.address.value ^ got.physical.value) & page_offset_mask(got.page_size), 0U);
    }

    std::vector<ReferenceRecord> sized = read_back(path("xdin")), words = read_back(path("din"));
    std::size_t next = 0;
    for (const ReferenceRecord& record : records) {
      if (!is_reference(record.kind)) continue;
      QVERIFY(sized[next].kind == record.kind && sized[next].address == record.address);
      QCOMPARE(sized[next].size, record.size);
      QVERIFY(words[next].kind == record.kind && words[next].address.value == (record.address.value & ~3ULL));
      ++next;
    }
    QCOMPARE(sized.size(), next);
    QCOMPARE(words.size(), next);
  }

  void an_address_space_has_one_translation_for_a_page_between_invalidations() {
    for (const char* guest : {"kernel", "seesaw"}) {
      const auto setup = make_setup(guest, VmmTechnique::Bare, "pc");
      QVERIFY2(bool(setup), setup ? "" : setup.error().text().c_str());
      const auto machine = Machine::create(setup.value());
      QTemporaryDir folder;
      const std::string path = folder.filePath("trace").toStdString();
      std::ofstream trace(path, std::ios::binary);
      const auto exporter = Exporter::make(trace, {.format = ExportFormat::Trace});
      machine.value()->set_sinks(exporter.get(), nullptr);
      machine.value()->run_until(400'000, Observation::Events);
      exporter->finish(machine.value()->position());
      trace.close();

      std::map<std::pair<std::uint16_t, std::uint64_t>, std::uint64_t> frames;
      std::uint64_t switches = 0, superpages = 0;
      std::uint16_t running = 0;
      for (const ReferenceRecord& record : read_back(path)) {
        const std::uint64_t page = record.address.value >> 12, region = record.address.value >> 21 << 9;
        if (record.kind == RecordKind::ContextSwitch) running = record.address_space;
        switches += record.kind == RecordKind::ContextSwitch;
        if (record.kind == RecordKind::InvalidatePage)
          frames.erase(frames.lower_bound({record.address_space, region}),
                       frames.lower_bound({record.address_space, region + 512}));
        if (!is_reference(record.kind)) continue;
        QCOMPARE(record.address_space, running);
        superpages += record.page_size == PageSize::Size2M;
        const std::uint64_t frame = record.physical.value >> 12;
        QCOMPARE(frames.try_emplace({record.address_space, page}, frame).first->second, frame);
      }
      if (std::string_view(guest) == "kernel") QVERIFY(switches >= 5);
      if (std::string_view(guest) == "seesaw") QVERIFY(superpages > 100);
    }
  }
};

QTEST_APPLESS_MAIN(ReferenceExportTest)
#include "reference_export_test.moc"
