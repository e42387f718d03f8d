// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/coherence/protocol.h"

namespace shearling {

namespace {

using Event = CoherenceEvent;
using Message = CoherenceMessage;
using Data = CoherenceData;
using Table = std::array<std::array<CoherenceRule, kCoherenceEvents>, kCoherenceStates>;

constexpr CoherenceState I = CoherenceState::Invalid;
constexpr CoherenceState S = CoherenceState::Shared;
constexpr CoherenceState E = CoherenceState::Exclusive;
constexpr CoherenceState O = CoherenceState::Owned;
constexpr CoherenceState M = CoherenceState::Modified;

/// One line of a protocol. What is not listed is impossible.
struct Cell {
  CoherenceState state;
  Event event;
  CoherenceState next;
  std::optional<Message> sends = {};
  Data data = Data::None;
  std::optional<CoherenceState> next_if_shared = {};
};

// What a core's own loads and stores ask for is the same under both protocols.
constexpr auto kOwn = std::to_array<Cell>({
    Cell{I, Event::Load, E, Message::GetS, Data::Fetched, S},
    Cell{I, Event::Store, M, Message::GetM, Data::Fetched},
    Cell{S, Event::Load, S, {}, Data::Own},
    Cell{S, Event::Store, M, Message::Upgrade, Data::Own},
    Cell{E, Event::Load, E, {}, Data::Own},
    Cell{E, Event::Store, M, {}, Data::Own},
    Cell{O, Event::Load, O, {}, Data::Own},
    Cell{O, Event::Store, M, Message::Upgrade, Data::Own},
    Cell{M, Event::Load, M, {}, Data::Own},
    Cell{M, Event::Store, M, {}, Data::Own},
});

template <std::size_t N>
constexpr void enter(Table& table, const std::array<Cell, N>& cells) {
  for (const Cell& cell : cells) {
    table[static_cast<std::size_t>(cell.state)][static_cast<std::size_t>(cell.event)] = {
        .possible = true,
        .next = cell.next,
        .next_if_shared = cell.next_if_shared.value_or(cell.next),
        .sends = cell.sends,
        .data = cell.data};
  }
}

template <std::size_t N>
constexpr Table table_of(const std::array<Cell, N>& rest) {
  Table table{};
  enter(table, kOwn);
  enter(table, rest);
  return table;
}

// The directory is exact, so nothing of others' doing reaches a cache without a copy; and it forwards requests to
// owners only, so that a sharer sees nothing but Inv.
constexpr Table kDirectory = table_of(std::to_array<Cell>({
    Cell{S, Event::Evict, I, Message::PutS},
    Cell{S, Event::OtherInvalidate, I, Message::InvAck},
    Cell{S, Event::Recall, I, Message::InvAck},
    Cell{E, Event::Evict, I, Message::PutE},
    Cell{E, Event::OtherGetS, S, Message::Data, Data::ToRequester},
    Cell{E, Event::OtherGetM, I, Message::Data, Data::ToRequester},
    Cell{E, Event::Recall, I, Message::InvAck},
    Cell{O, Event::Evict, I, Message::PutO, Data::ToHome},
    Cell{O, Event::OtherGetS, O, Message::Data, Data::ToRequester},
    Cell{O, Event::OtherGetM, I, Message::Data, Data::ToRequester},
    Cell{O, Event::OtherInvalidate, I, Message::InvAck},
    Cell{O, Event::Recall, I, Message::Data, Data::ToHome},
    Cell{M, Event::Evict, I, Message::PutM, Data::ToHome},
    Cell{M, Event::OtherGetS, O, Message::Data, Data::ToRequester},
    Cell{M, Event::OtherGetM, I, Message::Data, Data::ToRequester},
    Cell{M, Event::Recall, I, Message::Data, Data::ToHome},
}));

// Every cache sees every request, most of them for lines that it does not hold; only an owner answers, with the data.
// All see a request at once, so nobody acknowledges; clean copies are dropped without a word.
constexpr Table kSnoopy = table_of(std::to_array<Cell>({
    Cell{I, Event::OtherGetS, I},
    Cell{I, Event::OtherGetM, I},
    Cell{I, Event::OtherInvalidate, I},
    Cell{I, Event::Recall, I},
    Cell{S, Event::Evict, I},
    Cell{S, Event::OtherGetS, S},
    Cell{S, Event::OtherGetM, I},
    Cell{S, Event::OtherInvalidate, I},
    Cell{S, Event::Recall, I},
    Cell{E, Event::Evict, I},
    Cell{E, Event::OtherGetS, S, Message::Data, Data::ToRequester},
    Cell{E, Event::OtherGetM, I, Message::Data, Data::ToRequester},
    Cell{E, Event::Recall, I},
    Cell{O, Event::Evict, I, Message::PutO, Data::ToHome},
    Cell{O, Event::OtherGetS, O, Message::Data, Data::ToRequester},
    Cell{O, Event::OtherGetM, I, Message::Data, Data::ToRequester},
    Cell{O, Event::OtherInvalidate, I},
    Cell{O, Event::Recall, I, Message::Data, Data::ToHome},
    Cell{M, Event::Evict, I, Message::PutM, Data::ToHome},
    Cell{M, Event::OtherGetS, O, Message::Data, Data::ToRequester},
    Cell{M, Event::OtherGetM, I, Message::Data, Data::ToRequester},
    Cell{M, Event::Recall, I, Message::Data, Data::ToHome},
}));

template <typename Enum, std::size_t N>
const char* name_in(const std::array<const char*, N>& names, Enum value) {
  return names.at(static_cast<std::size_t>(value));
}

}  // namespace

const CoherenceRule& coherence_rule(CoherenceProtocol protocol, CoherenceState state, CoherenceEvent event) {
  const Table& table = protocol == CoherenceProtocol::Directory ? kDirectory : kSnoopy;
  return table[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
}

const char* name_of(CoherenceProtocol protocol) {
  return protocol == CoherenceProtocol::Directory ? "MOESI directory" : "MOESI snooping";
}

const char* name_of(CoherenceState state) {
  static constexpr std::array<const char*, kCoherenceStates> kNames{"I", "S", "E", "O", "M"};
  return name_in(kNames, state);
}

const char* name_of(CoherenceEvent event) {
  static constexpr std::array<const char*, kCoherenceEvents> kNames{
      "Load", "Store", "Evict", "Other-GetS", "Other-GetM", "Other-Invalidate", "Recall"};
  return name_in(kNames, event);
}

const char* name_of(CoherenceMessage message) {
  static constexpr std::array<const char*, kCoherenceMessages> kNames{
      "GetS",     "GetM", "Upgrade", "PutS",    "PutE",     "PutO", "PutM",      "Put-Ack",     "Fwd-GetS",
      "Fwd-GetM", "Inv",  "Recall",  "Inv-Ack", "AckCount", "Data", "Data-Home", "Memory-Read", "Memory-Write"};
  return name_in(kNames, message);
}

const char* name_of(CoherenceData data) {
  static constexpr std::array<const char*, 5> kNames{"none", "own copy", "owner, else home", "to requester", "to home"};
  return name_in(kNames, data);
}

}  // namespace shearling
