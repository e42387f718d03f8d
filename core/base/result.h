// SPDX-License-Identifier: GPL-3.0-or-later
//
// Errors in what a user gave (a file, a lesson, a command line) are values: a Diagnostic says where, what, and how to
// mend it. Guest misbehaviour is never one of these, and our own bugs assert (core/base/assert.h).
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace shearling {

struct Diagnostic {
  std::string file;     ///< Path as the user gave it; empty when there is none.
  unsigned line = 0;    ///< From 1; 0 when it concerns the whole file.
  unsigned column = 0;  ///< From 1; 0 when it concerns the whole line.
  std::string message;  ///< What is wrong.
  std::string remedy;   ///< How to mend it.
  bool operator==(const Diagnostic&) const = default;

  /// One line: "file:line:column: message; remedy".
  [[nodiscard]] std::string text() const;
};

template <typename Value, typename Error = Diagnostic>
class [[nodiscard]] Result {
 public:
  Result(Value value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const { return content_.index() == 0; }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] Value& value() & { return std::get<0>(content_); }
  [[nodiscard]] const Value& value() const& { return std::get<0>(content_); }
  [[nodiscard]] Value&& value() && { return std::get<0>(std::move(content_)); }
  [[nodiscard]] const Error& error() const { return std::get<1>(content_); }

 private:
  std::variant<Value, Error> content_;
};

struct Done {};
using Status = Result<Done>;

}  // namespace shearling
