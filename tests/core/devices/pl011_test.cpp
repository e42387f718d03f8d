// SPDX-License-Identifier: GPL-3.0-or-later
//
// The UART of the virt board, driven through the bus as a guest drives it. Reset values and identification: DDI 0183,
// table 3-1; what the interrupt does: section 2.8 and QEMU's behaviour.
#include "core/devices/pl011.h"

#include <QTest>

#include "core/devices/board.h"

using namespace shearling;

namespace {

constexpr std::uint64_t kBase = 0x09000000;
constexpr unsigned kLine = 1, kTransmit = 0x20;

class Lines : public InterruptLines {
 public:
  void set_line(unsigned line, bool level) override { levels[line] = level; }
  std::array<bool, 4> levels{};
};

struct Fixture {
  EventStream events;
  EventLog log;
  DeviceBus bus{events};
  MachineRequest request;
  Lines lines;
  std::unique_ptr<Board> board = make_board("virt", bus, events, request);

  Fixture() {
    events.set_sinks(nullptr, &log);
    bus.connect_interrupts(&lines);
  }
  std::uint64_t read(std::uint64_t offset) { return bus.memory_read({kBase + offset}, 4); }
  void write(std::uint64_t offset, std::uint64_t value) { bus.memory_write({kBase + offset}, 4, value); }
};

}  // namespace

class Pl011Test : public QObject {
  Q_OBJECT
 private slots:
  void the_registers_have_their_reset_values() {
    Fixture fixture;
    const std::pair<std::uint64_t, std::uint64_t> expected[] = {
        {0x000, 0},    {0x004, 0}, {0x018, 0x90}, {0x024, 0},    {0x028, 0},    {0x02c, 0},    {0x030, 0x300},
        {0x034, 0x12}, {0x038, 0}, {0x03c, 0},    {0x040, 0},    {0x044, 0},    {0xfe0, 0x11}, {0xfe4, 0x10},
        {0xfe8, 0x14}, {0xfec, 0}, {0xff0, 0x0d}, {0xff4, 0xf0}, {0xff8, 0x05}, {0xffc, 0xb1}, {0x100, 0}};
    for (const auto& [offset, value] : expected) QCOMPARE(fixture.read(offset), value);
  }

  void registers_keep_the_bits_that_exist() {
    Fixture fixture;
    const std::pair<std::uint64_t, std::uint64_t> expected[] = {{0x024, 0xffff}, {0x028, 0x3f}, {0x02c, 0xff},
                                                                {0x030, 0xff87}, {0x034, 0x3f}, {0x038, 0x7ff}};
    for (const auto& [offset, value] : expected) {
      fixture.write(offset, 0xffffffff);
      QCOMPARE(fixture.read(offset), value);
    }
    fixture.write(0x018, 0);  // UARTFR cannot be written.
    QCOMPARE(fixture.read(0x018), std::uint64_t{0x90});
  }

  void what_is_written_to_the_data_register_is_on_the_console() {
    Fixture fixture;
    for (const char letter : std::string("Hi\n")) fixture.write(0, static_cast<std::uint8_t>(letter));
    QCOMPARE(fixture.board->console(), std::string("Hi\n"));
    QCOMPARE(fixture.log.events.size(), std::size_t{3});
    QCOMPARE(std::get<ConsoleOutput>(fixture.log.events[1].payload).byte, std::uint8_t{'i'});
  }

  void a_character_raises_the_interrupt_until_it_is_cleared() {
    Fixture fixture;
    fixture.write(0, 'a');
    QCOMPARE(fixture.read(0x03c), std::uint64_t{kTransmit});
    QVERIFY(!fixture.lines.levels[kLine]);  // It is masked.
    fixture.write(0x038, kTransmit);
    QVERIFY(fixture.lines.levels[kLine]);
    QCOMPARE(fixture.read(0x040), std::uint64_t{kTransmit});
    fixture.write(0x044, 0x7ff & ~kTransmit);  // Clears the others only.
    QVERIFY(fixture.lines.levels[kLine]);
    fixture.write(0x044, kTransmit);
    QVERIFY(!fixture.lines.levels[kLine]);
    QCOMPARE(fixture.read(0x03c), std::uint64_t{0});
    fixture.write(0, 'b');
    QVERIFY(fixture.lines.levels[kLine]);
    fixture.write(0x038, 0);
    QVERIFY(!fixture.lines.levels[kLine]);
    QVERIFY(!fixture.lines.levels[0] && !fixture.lines.levels[2]);
  }

  void the_board_can_be_put_back() {
    Fixture fixture;
    fixture.write(0x038, kTransmit);
    fixture.write(0, 'a');
    std::vector<std::uint8_t> bytes;
    Writer writer(bytes);
    fixture.board->save(writer);
    fixture.write(0, 'b');
    fixture.write(0x038, 0);
    fixture.write(0x044, kTransmit);
    Reader reader(bytes);
    fixture.board->load(reader);
    QVERIFY(reader.at_end());
    QCOMPARE(fixture.board->console(), std::string("a"));
    QCOMPARE(fixture.read(0x040), std::uint64_t{kTransmit});
  }

  void only_its_page_answers() {
    Fixture fixture;
    QVERIFY(fixture.bus.claims_memory({kBase}));
    QVERIFY(fixture.bus.claims_memory({kBase + 0xfff}));
    QVERIFY(!fixture.bus.claims_memory({kBase + 0x1000}));
    QVERIFY(!fixture.bus.claims_memory({kBase - 1}));
  }
};

QTEST_APPLESS_MAIN(Pl011Test)
#include "pl011_test.moc"
