// SPDX-License-Identifier: GPL-3.0-or-later
//
// The cache coherence protocol as a table: five states (MOESI), what happens to a line of one first-level cache, and
// what follows. Two protocols: a directory that knows exactly who holds each line, and snooping on a broadcast medium.
// States, requests and responses carry the standard names of D. J. Sorin, M. D. Hill, D. A. Wood, "A Primer on Memory
// Consistency and Cache Coherence", Morgan & Claypool 2011, chapters 6 to 8; the O state is after P. Sweazey,
// A. J. Smith, "A Class of Compatible Cache Consistency Protocols and their Support by the IEEE Futurebus", ISCA 1986.
// Left out: transactions are atomic, so there are no transient states, no races, no retries and no completion
// messages.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace shearling {

enum class CoherenceProtocol : std::uint8_t {
  Directory,  ///< Requests go to the home of the line, which forwards them to those that hold it and to nobody else.
  Snoopy,     ///< Requests are broadcast, and every other first-level cache looks the line up.
};

/// What a first-level cache may do with its copy, and what it owes to others.
enum class CoherenceState : std::uint8_t {
  Invalid,    ///< No copy.
  Shared,     ///< May be read. Others may hold it; one of them may own it.
  Exclusive,  ///< The only copy, and clean: may be written without asking.
  Owned,      ///< May be read. Dirty: others may hold it in Shared; this cache answers for it.
  Modified,   ///< The only copy, and dirty.
};
inline constexpr std::size_t kCoherenceStates = 5;

/// What can happen to a line in one first-level cache: three causes of its core's own, four of others.
enum class CoherenceEvent : std::uint8_t {
  Load,
  Store,
  Evict,            ///< Its way is needed, or its page is swept.
  OtherGetS,        ///< Another core wants to read: Fwd-GetS from the directory, or a snooped GetS.
  OtherGetM,        ///< Another core wants to write and needs the data: Fwd-GetM to the owner, or a snooped GetM.
  OtherInvalidate,  ///< Another core writes and does not need this copy: Inv, or a snooped Upgrade.
  Recall,           ///< The inclusive last-level cache gives the line up.
};
inline constexpr std::size_t kCoherenceEvents = 7;

enum class CoherenceMessage : std::uint8_t {
  GetS,         ///< Request: a copy to read.
  GetM,         ///< Request: a copy to write.
  Upgrade,      ///< Request: permission to write the copy that the requester has.
  PutS,         ///< Eviction notices; PutO and PutM carry the data.
  PutE,         //
  PutO,         //
  PutM,         //
  PutAck,       ///< Home to the core that evicted.
  FwdGetS,      ///< Home to owner.
  FwdGetM,      ///< Home to owner.
  Inv,          ///< Home to each other holder.
  Recall,       ///< Home to each holder, or broadcast.
  InvAck,       ///< From who gave up a copy: to the requester, or to the home after a Recall.
  AckCount,     ///< Home to requester, where no data from the home can carry it: how many Inv-Acks to wait for.
  Data,         ///< The line, from a first-level cache: to the requester, or to the home after a Recall.
  DataHome,     ///< The line, from the last-level cache or memory.
  MemoryRead,   ///< The line, from memory to the last-level cache (to the home, where there is no such cache).
  MemoryWrite,  ///< The line, to memory.
};
inline constexpr std::size_t kCoherenceMessages = 18;

/// Where the line's data goes or comes from in one event.
enum class CoherenceData : std::uint8_t {
  None,         ///< Nothing moves.
  Own,          ///< The core uses its own copy.
  Fetched,      ///< From the cache that owns the line, else from the last-level cache or memory.
  ToRequester,  ///< From this cache to the one that asked.
  ToHome,       ///< Written back.
};

/// One cell of the table. `sends` is the request, the notice or the response of this cache.
struct CoherenceRule {
  bool possible = false;  ///< False: the protocol never lets this event meet this state.
  CoherenceState next = CoherenceState::Invalid;
  CoherenceState next_if_shared = CoherenceState::Invalid;  ///< Where another core still holds a copy.
  std::optional<CoherenceMessage> sends;
  CoherenceData data = CoherenceData::None;
  [[nodiscard]] bool writes_back() const { return data == CoherenceData::ToHome; }
  bool operator==(const CoherenceRule&) const = default;
};

[[nodiscard]] const CoherenceRule& coherence_rule(CoherenceProtocol protocol, CoherenceState state,
                                                  CoherenceEvent event);

// Names as in the literature: "MOESI directory", "E", "Fwd-GetS", ...
[[nodiscard]] const char* name_of(CoherenceProtocol protocol);
[[nodiscard]] const char* name_of(CoherenceState state);
[[nodiscard]] const char* name_of(CoherenceEvent event);
[[nodiscard]] const char* name_of(CoherenceMessage message);
[[nodiscard]] const char* name_of(CoherenceData data);

constexpr bool is_dirty(CoherenceState state) {
  return state == CoherenceState::Owned || state == CoherenceState::Modified;
}
/// The cache that answers for the line: the directory's owner.
constexpr bool is_owner(CoherenceState state) { return is_dirty(state) || state == CoherenceState::Exclusive; }
/// What a probe of this event asks of the cache: true to drop its copy.
constexpr bool invalidates(CoherenceEvent event) { return event >= CoherenceEvent::OtherGetM; }
constexpr bool carries_data(CoherenceMessage message) {
  return message == CoherenceMessage::PutO || message == CoherenceMessage::PutM || message >= CoherenceMessage::Data;
}

}  // namespace shearling
