// SPDX-License-Identifier: GPL-3.0-or-later
#include <QFile>
#include <QtTest>
#include <array>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "cache-sim/coherence/coherent_system.h"

using namespace shearling;

namespace {

using Event = CoherenceEvent;
using State = CoherenceState;

constexpr std::array kProtocols{CoherenceProtocol::Directory, CoherenceProtocol::Snoopy};

std::vector<State> all_states() {
  return {State::Invalid, State::Shared, State::Exclusive, State::Owned, State::Modified};
}
std::vector<Event> all_events() {
  return {Event::Load,      Event::Store,           Event::Evict, Event::OtherGetS,
          Event::OtherGetM, Event::OtherInvalidate, Event::Recall};
}

// Every state that three caches and their home can reach together for one line, by applying the table alone. The home
// is fresh while it holds the value last written; every copy of a cache must be.
class Exploration {
 public:
  struct System {
    std::array<State, 3> caches{};
    bool home_fresh = true;
    auto operator<=>(const System&) const = default;
  };

  explicit Exploration(CoherenceProtocol protocol) : protocol_(protocol) {
    std::vector<System> open{System{}};
    while (!open.empty()) {
      const System system = open.back();
      open.pop_back();
      if (!seen.insert(system).second) continue;
      check(system);
      for (unsigned cache = 0; cache < 3; ++cache) {
        for (const Event event : {Event::Load, Event::Store, Event::Evict}) {
          if (event == Event::Evict && system.caches[cache] == State::Invalid) continue;
          open.push_back(after(system, cache, event));
        }
      }
      open.push_back(after_recall(system));
    }
  }

  std::set<System> seen;
  std::set<std::pair<State, Event>> used;
  QStringList errors;

 private:
  const CoherenceRule& rule(State state, Event event) {
    const CoherenceRule& found = coherence_rule(protocol_, state, event);
    used.insert({state, event});
    if (!found.possible) errors << QString("%1 meets %2").arg(name_of(state), name_of(event));
    return found;
  }
  System after(System system, unsigned cache, Event event) {
    const State before = system.caches[cache];
    const CoherenceRule& own = rule(before, event);
    bool shared = false;
    bool supplied = false;
    const bool asks = own.sends == CoherenceMessage::GetS || own.sends == CoherenceMessage::GetM ||
                      own.sends == CoherenceMessage::Upgrade;
    for (unsigned other = 0; asks && other < 3; ++other) {
      if (other == cache) continue;
      const std::optional<Event> arrives = arriving(*own.sends, system.caches[other]);
      if (arrives) {
        const CoherenceRule& response = rule(system.caches[other], *arrives);
        system.caches[other] = response.next;
        supplied = supplied || response.data == CoherenceData::ToRequester;
      }
      shared = shared || system.caches[other] != State::Invalid;
    }
    if (own.data == CoherenceData::Fetched && !supplied && !system.home_fresh) errors << "stale data was fetched";
    if (own.data == CoherenceData::Own && before == State::Invalid) errors << "there was no own copy to use";
    if (own.writes_back()) system.home_fresh = true;
    if (event == Event::Store) system.home_fresh = false;
    system.caches[cache] = shared ? own.next_if_shared : own.next;
    return system;
  }
  System after_recall(System system) {
    for (State& state : system.caches) {
      if (protocol_ == CoherenceProtocol::Directory && state == State::Invalid) continue;
      const CoherenceRule& response = rule(state, Event::Recall);
      if (response.writes_back()) system.home_fresh = true;
      state = response.next;
    }
    return system;
  }
  /// What a request comes to at a cache in `state`.
  [[nodiscard]] std::optional<Event> arriving(CoherenceMessage request, State state) const {
    const bool snoopy = protocol_ == CoherenceProtocol::Snoopy;
    const bool owner = state != State::Invalid && state != State::Shared;
    if (!snoopy && state == State::Invalid) return std::nullopt;
    if (request == CoherenceMessage::GetS) return snoopy || owner ? std::optional(Event::OtherGetS) : std::nullopt;
    if (request == CoherenceMessage::GetM && (snoopy || owner)) return Event::OtherGetM;
    return Event::OtherInvalidate;
  }
  void check(const System& system) {
    unsigned copies = 0;
    unsigned alone = 0;
    unsigned owned = 0;
    for (const State state : system.caches) {
      copies += state != State::Invalid ? 1 : 0;
      alone += state == State::Exclusive || state == State::Modified ? 1 : 0;
      owned += state == State::Owned || state == State::Modified ? 1 : 0;
    }
    if (alone > 1 || (alone == 1 && copies > 1)) errors << "a writer is not alone";
    if (owned > 1) errors << "two caches own the line";
    if (owned == 0 && !system.home_fresh) errors << "the last value is lost";
  }

  CoherenceProtocol protocol_;
};

// Follows one core: the events that reach it and the messages that it sends.
class Witness : public CoherenceObserver {
 public:
  void sent(CoherenceMessage message, CoherenceNode from, CoherenceNode, PhysicalAddress line) override {
    if (line == watched && from == CoherenceNode{.kind = CoherenceNode::Kind::Core, .core = 0})
      messages.push_back(message);
  }
  void probed(unsigned core, PhysicalAddress line, Event event, State before) override {
    if (line == watched && core == 0) events.push_back({event, before});
  }
  PhysicalAddress watched{0x1000};
  std::vector<CoherenceMessage> messages;
  std::vector<std::pair<Event, State>> events;
};

/// Four cores over an inclusive last-level cache of two lines a set.
CoherentSystemConfig tiny(CoherenceProtocol protocol) {
  CoherentSystemConfig config;
  config.cores = 4;
  config.protocol = protocol;
  config.l1d.size = 1024;
  config.l1d.ways = 4;
  config.last_level = CacheConfig{
      .name = "LLC", .size = 2 * 4096, .ways = 2, .organisation = CacheOrganisation::Pipt, .inclusive = true};
  return config;
}

class Scene {
 public:
  explicit Scene(CoherenceProtocol protocol) : system(tiny(protocol)) {}
  void load(unsigned core, std::uint64_t address = 0x1000) {
    system.access(core, {address}, {address}, PageSize::Size4K, AccessKind::Read, false);
  }
  void store(unsigned core) { system.access(core, {0x1000}, {0x1000}, PageSize::Size4K, AccessKind::Write, false); }
  /// Core 0 has the line in `state`; where it is shared, core 1 has it, too.
  void bring_core_0_to(State state) {
    switch (state) {
      case State::Invalid:
        return;
      case State::Shared:
        load(0);
        return load(1);
      case State::Exclusive:
        return load(0);
      case State::Owned:
        store(0);
        return load(1);
      case State::Modified:
        return store(0);
    }
  }
  void let_happen(Event event) {
    switch (event) {
      case Event::Load:
        return load(0);
      case Event::Store:
        return store(0);
      case Event::Evict:
        QCOMPARE(system.sweep(0, {0x1000}, 64), 1U);
        return;
      case Event::OtherGetS:
        return load(2);
      case Event::OtherGetM:
        return store(2);
      case Event::OtherInvalidate:
        if (system.state(1, {0x1000}) != State::Shared) {
          load(2);
          load(1);
          witness.events.clear();
        }
        return store(1);
      case Event::Recall:
        if (system.state(0, {0x1000}) == State::Invalid) load(1);
        witness.events.clear();
        load(3, 0x3000);  // The last-level cache has two lines a set.
        return load(3, 0x5000);
    }
  }
  CoherentSystem system;
  Witness witness;
};

QString cell_of(CoherenceProtocol protocol, State state, Event event) {
  const CoherenceRule& rule = coherence_rule(protocol, state, event);
  if (!rule.possible) return "·";
  QString text = QString("**%1**").arg(name_of(rule.next));
  if (rule.next_if_shared != rule.next) text += QString(" or **%1**").arg(name_of(rule.next_if_shared));
  if (rule.sends) text += QString(" %1").arg(name_of(*rule.sends));
  if (rule.data == CoherenceData::ToRequester || rule.data == CoherenceData::ToHome)
    text += QString(" %1").arg(name_of(rule.data));
  return text;
}

QString markdown_of(CoherenceProtocol protocol) {
  QString text = "| |";
  for (const Event event : all_events()) text += QString(" %1 |").arg(name_of(event));
  text += "\n|---|";
  for (std::size_t i = 0; i < kCoherenceEvents; ++i) text += "---|";
  text += '\n';
  for (const State state : all_states()) {
    text += QString("| **%1** |").arg(name_of(state));
    for (const Event event : all_events()) text += QString(" %1 |").arg(cell_of(protocol, state, event));
    text += '\n';
  }
  return text;
}

}  // namespace

class ProtocolTest : public QObject {
  Q_OBJECT

 private slots:
  void protocols_data() {
    QTest::addColumn<int>("protocol");
    for (const CoherenceProtocol protocol : kProtocols) QTest::newRow(name_of(protocol)) << static_cast<int>(protocol);
  }

  void three_caches_never_leave_the_rules_whatever_they_do_data() { protocols_data(); }
  void three_caches_never_leave_the_rules_whatever_they_do() {
    QFETCH(int, protocol);
    const Exploration exploration(static_cast<CoherenceProtocol>(protocol));
    QVERIFY2(exploration.errors.isEmpty(), qPrintable(exploration.errors.join("; ")));
    QVERIFY(exploration.seen.size() > 20);
  }

  void every_possible_cell_is_reached_and_no_other_data() { protocols_data(); }
  void every_possible_cell_is_reached_and_no_other() {
    QFETCH(int, protocol);
    const Exploration exploration(static_cast<CoherenceProtocol>(protocol));
    for (const State state : all_states()) {
      for (const Event event : all_events()) {
        const bool possible = coherence_rule(static_cast<CoherenceProtocol>(protocol), state, event).possible;
        QVERIFY2(exploration.used.contains({state, event}) == possible,
                 qPrintable(QString("%1, %2").arg(name_of(state), name_of(event))));
      }
    }
  }

  void a_core_uses_its_copy_or_fetches_one() {
    for (const CoherenceProtocol protocol : kProtocols) {
      for (const State state : all_states()) {
        for (const Event event : {Event::Load, Event::Store}) {
          const CoherenceRule& rule = coherence_rule(protocol, state, event);
          QCOMPARE(rule.data, state == State::Invalid ? CoherenceData::Fetched : CoherenceData::Own);
        }
      }
    }
  }

  void a_system_does_what_the_table_says_data() {
    QTest::addColumn<int>("protocol");
    QTest::addColumn<int>("state");
    QTest::addColumn<int>("event");
    for (const CoherenceProtocol protocol : kProtocols) {
      for (const State state : all_states()) {
        for (const Event event : all_events()) {
          if (!coherence_rule(protocol, state, event).possible) continue;
          QTest::addRow("%s: %s, %s", name_of(protocol), name_of(state), name_of(event))
              << static_cast<int>(protocol) << static_cast<int>(state) << static_cast<int>(event);
        }
      }
    }
  }
  void a_system_does_what_the_table_says() {
    QFETCH(int, protocol);
    QFETCH(int, state);
    QFETCH(int, event);
    const auto happened = static_cast<Event>(event);
    Scene scene(static_cast<CoherenceProtocol>(protocol));
    scene.bring_core_0_to(static_cast<State>(state));
    QCOMPARE(scene.system.state(0, {0x1000}), static_cast<State>(state));
    scene.system.observe(&scene.witness);
    const CoherenceRule& rule =
        coherence_rule(static_cast<CoherenceProtocol>(protocol), static_cast<State>(state), happened);
    scene.let_happen(happened);
    QCOMPARE(scene.system.state(0, {0x1000}), rule.next);
    const std::vector<CoherenceMessage> expected =
        rule.sends ? std::vector<CoherenceMessage>{*rule.sends} : std::vector<CoherenceMessage>{};
    QVERIFY(scene.witness.messages == expected);
    if (happened <= Event::Evict) {
      QVERIFY(scene.witness.events.empty());
    } else {
      QVERIFY(scene.witness.events == (std::vector{std::pair(happened, static_cast<State>(state))}));
    }
  }

  void the_handbook_shows_the_table_data() { protocols_data(); }
  void the_handbook_shows_the_table() {
    QFETCH(int, protocol);
    QFile file(SHEARLING_SOURCE_DIR "/docs/coherence.md");
    QVERIFY(file.open(QIODevice::ReadOnly));
    const QString right = markdown_of(static_cast<CoherenceProtocol>(protocol));
    QVERIFY2(QString::fromUtf8(file.readAll()).contains(right), qPrintable("docs/coherence.md lacks:\n" + right));
  }

  void the_handbook_names_every_message() {
    QFile file(SHEARLING_SOURCE_DIR "/docs/coherence.md");
    QVERIFY(file.open(QIODevice::ReadOnly));
    const QString text = QString::fromUtf8(file.readAll());
    for (std::size_t message = 0; message < kCoherenceMessages; ++message) {
      const QString name = QString("`%1`").arg(name_of(static_cast<CoherenceMessage>(message)));
      QVERIFY2(text.contains(name), qPrintable(name));
    }
  }
};

QTEST_APPLESS_MAIN(ProtocolTest)
#include "protocol_test.moc"
