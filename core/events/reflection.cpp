// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/events/reflection.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

#include "core/base/assert.h"
#include "core/events/spelling.h"

namespace shearling {

namespace {

/// The names of an enumeration, in the order of its enumerators.
template <typename Enum>
constexpr std::array<std::string_view, 0> kNames{};
template <>
constexpr std::array<std::string_view, 4> kNames<Actor>{"guest user", "guest kernel", "VMM", "hardware"};
template <>
constexpr std::array<std::string_view, 4> kNames<InstructionClass>{"innocuous", "privileged", "control-sensitive",
                                                                   "behaviour-sensitive"};
template <>
constexpr std::array<std::string_view, 6> kNames<TrapCause>{
    "fault", "trap", "abort", "interrupt", "software interrupt", "system call"};
template <>
constexpr std::array<std::string_view, 3> kNames<CheckVerdict>{"passed", "failed", "exits"};
template <>
constexpr std::array<std::string_view, 7> kNames<ServedBy>{"none", "page-walk cache", "nested TLB", "L1", "L2",
                                                           "LLC",  "memory"};
template <>
constexpr std::array<std::string_view, 5> kNames<InvalidationScope>{"address", "address space", "all but global",
                                                                    "virtual machine", "all"};
template <>
constexpr std::array<std::string_view, 11> kNames<StopReason>{
    "none",       "exit port",  "triple fault", "deadlock",  "shutdown", "unsupported",
    "step limit", "breakpoint", "interrupted",  "power off", "reset"};
template <>
constexpr std::array<std::string_view, 3> kNames<AccessKind>{"fetch", "read", "write"};
template <>
constexpr std::array<std::string_view, 5> kNames<PageSize>{"4 KB", "16 KB", "64 KB", "2 MB", "1 GB"};

template <typename Enum>
std::string_view look_up(Enum value) {
  const auto index = static_cast<std::size_t>(value);
  SHEARLING_ASSERT(index < kNames<Enum>.size(), "an enumerator has no name");
  return kNames<Enum>[index];
}

}  // namespace

std::string_view name_of(Actor value) { return look_up(value); }
std::string_view name_of(InstructionClass value) { return look_up(value); }
std::string_view name_of(TrapCause value) { return look_up(value); }
std::string_view name_of(CheckVerdict value) { return look_up(value); }
std::string_view name_of(ServedBy value) { return look_up(value); }
std::string_view name_of(InvalidationScope value) { return look_up(value); }
std::string_view name_of(StopReason value) { return look_up(value); }
std::string_view name_of(AccessKind value) { return look_up(value); }
std::string_view name_of(PageSize value) { return look_up(value); }

namespace {

// --- a payload's members as FieldValue -------------------------------------------------------------------------------

template <typename T>
concept AddressType = requires(const T& address) {
  { address.value } -> std::convertible_to<std::uint64_t>;
};

template <typename T>
FieldValue to_value(const T& member) {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string_view>)
    return member;
  else if constexpr (std::is_enum_v<T>)
    return name_of(member);
  else if constexpr (std::is_floating_point_v<T>)
    return static_cast<double>(member);
  else if constexpr (AddressType<T>)
    return member.value;
  else
    return static_cast<std::uint64_t>(member);
}

/// The other way; false where the value is of another kind or out of range.
template <typename T>
bool from_value(T& member, const FieldValue& value) {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string_view>) {
    const auto* held = std::get_if<T>(&value);
    if (held != nullptr) member = *held;
    return held != nullptr;
  } else if constexpr (std::is_enum_v<T>) {
    const auto* name = std::get_if<std::string_view>(&value);
    const auto found = name == nullptr ? kNames<T>.end() : std::find(kNames<T>.begin(), kNames<T>.end(), *name);
    if (found == kNames<T>.end()) return false;
    member = static_cast<T>(found - kNames<T>.begin());
    return true;
  } else if constexpr (std::is_floating_point_v<T>) {
    const auto* real = std::get_if<double>(&value);
    if (real != nullptr) member = static_cast<T>(*real);
    return real != nullptr;
  } else {
    const auto* number = std::get_if<std::uint64_t>(&value);
    if (number == nullptr) return false;
    if constexpr (AddressType<T>) {
      member.value = *number;
    } else {
      if (*number > std::numeric_limits<T>::max()) return false;
      member = static_cast<T>(*number);
    }
    return true;
  }
}

template <typename Payload, typename Member>
FieldInfo describe_field(const Field<Payload, Member>& field) {
  if constexpr (std::is_enum_v<Member>)
    return {field.name, field.format, kNames<Member>};
  else
    return {field.name, field.format, {}};
}

template <typename Payload>
EventInfo describe() {
  EventInfo info{Payload::kName, Payload::kSentence, {}};
  std::apply([&](const auto&... field) { (info.fields.push_back(describe_field(field)), ...); }, Payload::fields());
  return info;
}

template <std::size_t... Index>
std::vector<EventInfo> describe_all(std::index_sequence<Index...>) {
  return {describe<std::variant_alternative_t<Index, EventPayload>>()...};
}

template <typename Payload>
constexpr bool kIsNotable =
    std::is_same_v<Payload, TrapRaised> || std::is_same_v<Payload, TrapDelivered> ||
    std::is_same_v<Payload, TrapReturned> || std::is_same_v<Payload, PrivilegeChanged> ||
    std::is_same_v<Payload, ModeChanged> || std::is_same_v<Payload, VmExit> || std::is_same_v<Payload, VmmAction> ||
    std::is_same_v<Payload, VmEntry> || std::is_same_v<Payload, Hypercall> ||
    std::is_same_v<Payload, InterruptRequested> || std::is_same_v<Payload, InterruptAcknowledged> ||
    std::is_same_v<Payload, InterruptEnded> || std::is_same_v<Payload, ConsoleOutput> ||
    std::is_same_v<Payload, LessonMark> || std::is_same_v<Payload, MachineStopped>;

template <std::size_t... Index>
constexpr auto notable_table(std::index_sequence<Index...>) {
  return std::array{kIsNotable<std::variant_alternative_t<Index, EventPayload>>...};
}

constexpr auto kAllPayloads = std::make_index_sequence<std::variant_size_v<EventPayload>>{};

}  // namespace

bool is_notable(const Event& event) {
  static constexpr auto kNotable = notable_table(kAllPayloads);
  return kNotable[event.payload.index()];
}

std::span<const EventInfo> event_table() {
  static const std::vector<EventInfo> kTable = describe_all(kAllPayloads);
  return kTable;
}

const EventInfo* find_event(std::string_view name) {
  const auto table = event_table();
  const auto found = std::find_if(table.begin(), table.end(), [&](const EventInfo& info) { return info.name == name; });
  return found == table.end() ? nullptr : &*found;
}

std::string_view nearest_event_name(std::string_view misspelt) {
  std::vector<std::string_view> names;
  for (const EventInfo& info : event_table()) names.push_back(info.name);
  return nearest_name(misspelt, names);
}

const EventInfo& info_of(const Event& event) { return event_table()[event.payload.index()]; }

std::optional<FieldValue> field_value(const Event& event, std::string_view field) {
  return std::visit(
      [&]<typename Payload>(const Payload& payload) {
        std::optional<FieldValue> found;
        const auto take = [&](const auto& candidate) {
          if (candidate.name == field) found = to_value(payload.*candidate.member);
        };
        std::apply([&](const auto&... candidate) { (take(candidate), ...); }, Payload::fields());
        return found;
      },
      event.payload);
}

std::vector<FieldValue> field_values(const Event& event) {
  return std::visit(
      []<typename Payload>(const Payload& payload) {
        return std::apply(
            [&](const auto&... field) { return std::vector<FieldValue>{to_value(payload.*field.member)...}; },
            Payload::fields());
      },
      event.payload);
}

namespace {
template <std::size_t... Index>
std::optional<EventPayload> make_payload_of(std::string_view name, std::index_sequence<Index...>) {
  std::optional<EventPayload> made;
  const auto try_one = [&]<typename Payload>(std::type_identity<Payload>) {
    if (Payload::kName == name) made = Payload{};
  };
  (try_one(std::type_identity<std::variant_alternative_t<Index, EventPayload>>{}), ...);
  return made;
}
}  // namespace

std::optional<EventPayload> make_payload(std::string_view event_name) {
  return make_payload_of(event_name, kAllPayloads);
}

bool set_field(EventPayload& payload, std::string_view field, const FieldValue& value) {
  return std::visit(
      [&]<typename Payload>(Payload& one) {
        bool done = false;
        const auto put = [&](const auto& candidate) {
          if (candidate.name == field) done = from_value(one.*candidate.member, value);
        };
        std::apply([&](const auto&... candidate) { (put(candidate), ...); }, Payload::fields());
        return done;
      },
      payload);
}

std::string format_value(const FieldValue& value, FieldFormat format) {
  if (const auto* text = std::get_if<std::string_view>(&value)) return std::string(*text);
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "yes" : "no";
  if (const auto* real = std::get_if<double>(&value)) return fmt::format("{:.4g}", *real);
  const std::uint64_t number = std::get<std::uint64_t>(value);
  return format == FieldFormat::Hex ? fmt::format("{:#x}", number) : fmt::format("{}", number);
}

// --- narration -------------------------------------------------------------------------------------------------------

namespace {

bool is_set(const FieldValue& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) return !text->empty();
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* real = std::get_if<double>(&value)) return *real != 0;
  return std::get<std::uint64_t>(value) != 0;
}

/// The place of the brace that closes the one before `from`, or of the end.
std::size_t closing_brace(std::string_view text, std::size_t from) {
  unsigned depth = 1;
  for (std::size_t at = from; at < text.size(); ++at) {
    if (text[at] == '{') ++depth;
    if (text[at] == '}' && --depth == 0) return at;
  }
  return text.size();
}

/// The '|' that parts the two branches of a condition, outside inner braces.
std::size_t branch_border(std::string_view branches) {
  unsigned depth = 0;
  for (std::size_t at = 0; at < branches.size(); ++at) {
    if (branches[at] == '{') ++depth;
    if (branches[at] == '}') --depth;
    if (branches[at] == '|' && depth == 0) return at;
  }
  return branches.size();
}

void expand(const Event& event, std::string_view sentence, std::string& text);

/// One replacement: "field", or "field?words when it is set|words when it is not".
void expand_field(const Event& event, std::string_view replacement, std::string& text) {
  const std::size_t question = replacement.find('?');
  const std::string_view name = replacement.substr(0, question);
  const EventInfo& info = info_of(event);
  const auto field =
      std::find_if(info.fields.begin(), info.fields.end(), [&](const FieldInfo& one) { return one.name == name; });
  if (field == info.fields.end()) {  // not ours: leave it as it stands
    text.append("{").append(replacement).append("}");
    return;
  }
  const FieldValue value = *field_value(event, name);
  if (question != std::string_view::npos) {
    const std::string_view branches = replacement.substr(question + 1);
    const std::size_t border = branch_border(branches);
    const std::string_view otherwise = border == branches.size() ? std::string_view{} : branches.substr(border + 1);
    expand(event, is_set(value) ? branches.substr(0, border) : otherwise, text);
    return;
  }
  if (name == "sentence") {  // check and vmm.action carry a template of their own
    expand(event, std::get<std::string_view>(value), text);
    return;
  }
  text += format_value(value, field->format);
}

void expand(const Event& event, std::string_view sentence, std::string& text) {
  std::size_t at = 0;
  while (at < sentence.size()) {
    const std::size_t open = sentence.find('{', at);
    text += sentence.substr(at, open - at);
    if (open == std::string_view::npos) return;
    const std::size_t close = closing_brace(sentence, open + 1);
    expand_field(event, sentence.substr(open + 1, close - open - 1), text);
    at = close + 1;
  }
}

}  // namespace

std::string narrate(const Event& event) {
  std::string text;
  expand(event, info_of(event).sentence, text);
  return text;
}

}  // namespace shearling
