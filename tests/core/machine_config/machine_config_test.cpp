// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/machine/machine_config.h"

#include <QFile>
#include <QTemporaryDir>
#include <QTest>

#include "core/machine/yaml_reader.h"

using namespace shearling;

namespace {

std::string write_file(const QTemporaryDir& folder, const QString& name, const std::string& text) {
  QFile file(folder.filePath(name));
  if (!file.open(QIODevice::WriteOnly)) qFatal("cannot write a test file");
  file.write(text.data(), static_cast<qint64>(text.size()));
  return file.fileName().toStdString();
}

}  // namespace

class MachineConfigTest : public QObject {
  Q_OBJECT

 private slots:
  void the_pc_is_the_machine_that_its_file_tells() {
    const auto config = load_machine_config("pc");
    QVERIFY2(config.ok(), config ? "" : config.error().text().c_str());
    const MachineConfig& pc = config.value();
    QCOMPARE(pc.isa, std::string("x86-64"));
    QCOMPARE(pc.ram_bytes, 256ULL << 20);
    QCOMPARE(pc.translation.instruction.size(), std::size_t{2});
    QCOMPARE(pc.translation.data.size(), std::size_t{3});
    QCOMPARE(pc.translation.data[0].entries, 64U);
    QCOMPARE(pc.translation.second_level->ways, 4U);
    QVERIFY(pc.caches.l1d.organisation == CacheOrganisation::Vipt);
    QVERIFY(pc.caches.l2->organisation == CacheOrganisation::Pipt);
    QCOMPARE(pc.caches.last_level->size, 2ULL << 20);
    QVERIFY(std::find(pc.cpu_features.begin(), pc.cpu_features.end(), "pcid") != pc.cpu_features.end());
  }

  void the_virt_boards_machines_are_what_their_files_tell() {
    const auto config = load_machine_config("virt");
    QVERIFY2(config.ok(), config ? "" : config.error().text().c_str());
    const MachineConfig& virt = config.value();
    QCOMPARE(virt.isa, std::string("aarch64"));
    QCOMPARE(virt.board, std::string("virt"));
    QCOMPARE(virt.cpus, 1U);
    QCOMPARE(virt.ram_bytes, 256ULL << 20);
    QVERIFY(virt.cpu_features.empty());
    QCOMPARE(virt.translation.instruction.front().entries, 48U);
    QCOMPARE(virt.translation.data.front().ways, 32U);  // Fully associative.
    QCOMPARE(virt.translation.second_level->ways, 4U);
    QCOMPARE(virt.translation.second_level->page_sizes.size(), std::size_t{5});
    QCOMPARE(virt.caches.l1i.size / (virt.caches.l1i.ways * virt.caches.l1i.line), std::uint64_t{256});
    QCOMPARE(virt.caches.l1d.size / (virt.caches.l1d.ways * virt.caches.l1d.line), std::uint64_t{256});
    QCOMPARE(virt.caches.l2->size / (virt.caches.l2->ways * virt.caches.l2->line), std::uint64_t{2048});
    QVERIFY(!virt.caches.last_level);

    const auto hypervisor = load_machine_config("virt-el2");
    QVERIFY2(hypervisor.ok(), hypervisor ? "" : hypervisor.error().text().c_str());
    QVERIFY(hypervisor.value().cpu_features == std::vector<std::string>{"el2"});
    QCOMPARE(hypervisor.value().board, std::string("virt"));

    const auto two = load_machine_config("virt-smp");
    QVERIFY2(two.ok(), two ? "" : two.error().text().c_str());
    QCOMPARE(two.value().cpus, 2U);
    QCOMPARE(two.value().slice, virt.slice);
  }

  void a_description_says_how_many_cores_and_where_it_says_so() {
    const auto config = parse_machine_config("isa: aarch64\nboard: virt\ncpu: { count: 8, slice: 7 }\n", "mine.yaml");
    QVERIFY(config.ok());
    QCOMPARE(config.value().cpus, 8U);
    QCOMPARE(config.value().slice, 7U);
    QCOMPARE(config.value().cpus_place.file, std::string("mine.yaml"));
    QCOMPARE(config.value().cpus_place.line, 3U);
    QCOMPARE(config.value().cpus_place.column, 15U);
    QCOMPARE(config.value().board_place.line, 2U);
  }

  void a_hypercalls_actions_add_up_to_the_papers_figure() {
    const auto config = load_machine_config("pc");
    QVERIFY(config.ok());
    std::uint32_t sum = 0;
    for (const char* action :
         {"vm.exit", "exit.dispatch", "hypercall.serve", "instruction.skip", "tsc.hide", "vm.entry"})
      sum += config.value().costs.cost_of(action);
    QCOMPARE(sum, 1300U);
    QCOMPARE(config.value().costs.cost_of("no such action"), 0U);
  }

  void a_description_that_extends_another_changes_only_what_it_names() {
    const QTemporaryDir folder;
    const std::string file = write_file(
        folder, "mine.yaml",
        "extends: pc\ncaches:\n  l1d: { organisation: seesaw, plain-twin: true }\nvmm: { nested-page: 2M }\n");
    const auto mine = load_machine_config(file);
    QVERIFY2(mine.ok(), mine ? "" : mine.error().text().c_str());
    QVERIFY(mine.value().caches.l1d.organisation == CacheOrganisation::Seesaw);
    QVERIFY(mine.value().caches.l1d.plain_twin);
    QCOMPARE(mine.value().caches.l1d.size, 32ULL << 10);
    QVERIFY(mine.value().vmm.nested_page == PageSize::Size2M);
    QCOMPARE(mine.value().translation.data.size(), std::size_t{3});
  }

  void the_caches_policies_are_read() {
    const auto config = parse_machine_config(
        "caches:\n"
        "  l1i: { organisation: vivt, aliases: evict }\n"
        "  l1d: { organisation: seesaw, insertion: 4way-8way, way-prediction: true, write: write-through,"
        " allocate: false }\n"
        "  l2: { size: 256 KB, inclusive: true, write-back-arrival: update }\n"
        "  l2i: { size: 64 KB }\n"
        "  tft: { entries: 20, tag-bits: 12, tagged: true, enabled: true }\n"
        "  scheduler: quarter-rule\n"
        "  sweep-on-invalidation: true\n",
        "mine.yaml");
    QVERIFY2(config.ok(), config ? "" : config.error().text().c_str());
    const CacheHierarchyConfig& caches = config.value().caches;
    QVERIFY(caches.l1i.organisation == CacheOrganisation::Vivt && caches.l1i.aliases == AliasHandling::Evict);
    QVERIFY(caches.l1d.insertion == InsertionPolicy::PartitionOrWhole && caches.l1d.way_prediction);
    QVERIFY(caches.l1d.write == WritePolicy::WriteThrough && !caches.l1d.write_allocate);
    QVERIFY(caches.l2->inclusive && caches.l2->arrival == WriteBackArrival::Update);
    QCOMPARE(caches.l2i->name, std::string("L2I"));
    QCOMPARE(caches.l2i->size, std::uint64_t{64} << 10);
    QCOMPARE(caches.tft.entries, 20U);
    QCOMPARE(caches.tft.tag_bits, 12U);
    QVERIFY(caches.tft.tagged && caches.tft.enabled);
    QVERIFY(caches.scheduler == SchedulerPolicy::QuarterRule);
    QVERIFY(caches.sweep_on_invalidation);
  }

  void the_text_for_a_run_file_stands_alone() {
    const QTemporaryDir folder;
    write_file(folder, "base.yaml", "extends: pc\nmemory: 64 MB\n");
    const std::string file =
        write_file(folder, "mine.yaml", "# a comment first\n---\nextends: ./base.yaml\nvmm: { vpid: no }\n");
    const auto text = read_machine_description(file);
    QVERIFY2(text.ok(), text ? "" : text.error().text().c_str());
    QVERIFY(QFile::remove(folder.filePath("base.yaml")));
    const auto config = parse_machine_config(text.value(), "recorded");
    QVERIFY2(config.ok(), config ? "" : config.error().text().c_str());
    QCOMPARE(config.value().ram_bytes, 64ULL << 20);
    QVERIFY(!config.value().vmm.vpid);
    QCOMPARE(config.value().translation.instruction.size(), std::size_t{2});
  }

  void every_mistake_is_told_with_its_place_and_remedy_data() {
    QTest::addColumn<QString>("yaml");
    QTest::addColumn<QString>("error");
    const auto row = [](const char* name, const char* yaml, const char* error) {
      QTest::newRow(name) << QString(yaml) << QString(error);
    };
    row("misspelt key", "memroy: 64 MB\n", "m:1:1: a machine description has no key 'memroy'; did you mean 'memory'?");
    row("misspelt key inside", "caches:\n  l1d: { wayz: 8 }\n",
        "m:2:10: a cache has no key 'wayz'; did you mean 'ways'?");
    row("key twice", "seed: 1\nseed: 2\n", "m:2:1: the key 'seed' stands here twice; keep one of them");
    row("no size", "memory: lots\n", "m:1:9: 'memory' must be a size; for example 32 KB, 256 MB or 4096");
    row("too much memory", "memory: 16 GB\n",
        "m:1:9: the guest's memory must be 2 MB to 3 GB, a multiple of 4 KB; for example 256 MB");
    row("unknown organisation", "caches:\n  l1d: { organisation: seasaw }\n",
        "m:2:24: 'organisation' cannot be 'seasaw'; did you mean 'seesaw'?");
    row("impossible geometry", "caches:\n  l1d: { ways: 6 }\n",
        "m:2:8: cache \"L1D\": its size must be a multiple of ways times line size; change its numbers so that they "
        "agree");
    row("a sweep without SEESAW", "caches: { sweep-on-invalidation: true }\n",
        "m:1:9: only a SEESAW L1D is swept on an invalidation; change its numbers so that they agree");
    row("no such page", "tlb:\n  data: [{ name: D, entries: 8, pages: [5K] }]\n",
        "m:2:41: this is no page size; one of 4K, 16K, 64K, 2M, 1G");
    row("page size twice",
        "tlb:\n  data:\n    - { name: A, entries: 8, pages: [4K] }\n    - { name: B, entries: 8, pages: [4K] }\n",
        "m:4:7: two TLBs of one side hold the same page size; name each page size once");
    row("ways that do not divide", "tlb:\n  data: [{ name: D, entries: 10, ways: 4, pages: [4K] }]\n",
        "m:2:10: TLB \"D\": ways must divide entries; change its numbers so that they agree");
    row("negative cost", "costs: { actions: { vm.exit: -3 } }\n",
        "m:1:30: a cost must be a whole number of cycles; from 0 to 1000000");
    row("not a mapping", "- a\n- b\n", "m:1:1: a machine description must be a mapping; write 'key: value' lines");
    row("not YAML", "a: [1, 2\n",
        "m:2:1: this is not YAML: end of sequence flow not found; check brackets, quotes and indentation (blanks, no "
        "tabs)");
    row("unknown base", "extends: cp\n",
        "there is no built-in machine 'cp'; give the path of a YAML file, or one of pc, virt, virt-el2, virt-el2-max, "
        "virt-max, virt-smp, virt-two-vms");
    row("no core", "cpu: { count: 0 }\n", "m:1:15: 'count' must be a whole number; from 1 to 8");
    row("too many cores", "cpu:\n  count: 9\n", "m:2:10: 'count' must be a whole number; from 1 to 8");
    row("no slice", "cpu: { slice: 0 }\n", "m:1:15: 'slice' must be a whole number; from 1 to 1000000");
  }
  void every_mistake_is_told_with_its_place_and_remedy() {
    QFETCH(QString, yaml);
    QFETCH(QString, error);
    const auto config = parse_machine_config(yaml.toStdString(), "m");
    QVERIFY(!config.ok());
    QCOMPARE(QString::fromStdString(config.error().text()), error);
  }

  void descriptions_that_extend_each_other_in_a_circle_are_refused() {
    const QTemporaryDir folder;
    write_file(folder, "a.yaml", "extends: ./b.yaml\n");
    write_file(folder, "b.yaml", "extends: ./a.yaml\n");
    const auto config = load_machine_config(folder.filePath("a.yaml").toStdString());
    QVERIFY(!config.ok());
    QVERIFY(config.error().remedy.find("circle") != std::string::npos);
  }

  void numbers_and_sizes_are_read_as_people_write_them() {
    QCOMPARE(parse_number("0x1F").value_or(0), std::uint64_t{31});
    QCOMPARE(parse_number("18446744073709551615").value_or(0), ~std::uint64_t{0});
    QVERIFY(!parse_number("18446744073709551616"));
    QVERIFY(!parse_number("-1") && !parse_number("") && !parse_number("0x") && !parse_number("1x"));
    QCOMPARE(parse_byte_size("32 KB").value_or(0), std::uint64_t{32768});
    QCOMPARE(parse_byte_size("2M").value_or(0), std::uint64_t{2} << 20);
    QVERIFY(!parse_byte_size("99999999999 GB") && !parse_byte_size("KB"));
    QVERIFY(parse_page_size("2 MB") == PageSize::Size2M);
    QVERIFY(!parse_page_size("8K"));
  }
};

QTEST_APPLESS_MAIN(MachineConfigTest)
#include "machine_config_test.moc"
