// SPDX-License-Identifier: GPL-3.0-or-later
//
// The few operations of SQLite that run files need, closed and finalized by scope. Failures are values: false, or a
// row that is not there, with the reason in problem().
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace shearling {

class SqliteDatabase {
 public:
  SqliteDatabase() = default;
  ~SqliteDatabase() { sqlite3_close_v2(handle_); }
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  bool open(const std::string& path, int flags) {
    return keep(sqlite3_open_v2(path.c_str(), &handle_, flags, nullptr));
  }
  bool run(const char* statements) { return keep(sqlite3_exec(handle_, statements, nullptr, nullptr, nullptr)); }
  [[nodiscard]] sqlite3* handle() const { return handle_; }
  [[nodiscard]] int code() const { return code_; }
  [[nodiscard]] std::string problem() const { return handle_ == nullptr ? "out of memory" : sqlite3_errmsg(handle_); }
  /// A number such as PRAGMA user_version gives; 0 where the query fails.
  std::int64_t number(const char* query);

 private:
  bool keep(int code) {
    code_ = code;
    return code == SQLITE_OK;
  }
  sqlite3* handle_ = nullptr;
  int code_ = SQLITE_OK;
};

class SqliteStatement {
 public:
  SqliteStatement(SqliteDatabase& database, const char* query) {
    sqlite3_prepare_v2(database.handle(), query, -1, &handle_, nullptr);
  }
  ~SqliteStatement() { sqlite3_finalize(handle_); }
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  [[nodiscard]] bool valid() const { return handle_ != nullptr; }
  void bind(int index, std::int64_t value) { sqlite3_bind_int64(handle_, index, value); }
  void bind(int index, std::string_view text) {
    sqlite3_bind_text(handle_, index, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
  }
  void bind(int index, std::span<const std::uint8_t> bytes) {
    sqlite3_bind_blob(handle_, index, bytes.empty() ? "" : static_cast<const void*>(bytes.data()),
                      static_cast<int>(bytes.size()), SQLITE_TRANSIENT);
  }
  void bind_null(int index) { sqlite3_bind_null(handle_, index); }
  /// The next row; false at the end or on a failure (then code() is not SQLITE_DONE).
  bool row() { return (code_ = handle_ == nullptr ? SQLITE_ERROR : sqlite3_step(handle_)) == SQLITE_ROW; }
  /// Runs a statement without rows, and makes it ready for the next values.
  bool run() {
    const bool done = !row() && code_ == SQLITE_DONE;
    sqlite3_reset(handle_);
    return done;
  }
  [[nodiscard]] int code() const { return code_; }
  [[nodiscard]] bool ended_well() const { return code_ == SQLITE_DONE; }
  [[nodiscard]] std::int64_t number(int column) const { return sqlite3_column_int64(handle_, column); }
  [[nodiscard]] bool is_null(int column) const { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }
  [[nodiscard]] std::string_view text(int column) const {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_, column));
    return data == nullptr ? std::string_view{}
                           : std::string_view(data, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column)));
  }

 private:
  sqlite3_stmt* handle_ = nullptr;
  int code_ = SQLITE_OK;
};

/// The application id in the header of an SQLite file (offset 68, big-endian), read without SQLite so that a damaged
/// file is recognised too. Nothing where the file is no SQLite database.
std::optional<std::int32_t> application_id_of(const std::string& path);

inline std::int64_t SqliteDatabase::number(const char* query) {
  SqliteStatement statement(*this, query);
  return statement.row() ? statement.number(0) : 0;
}

}  // namespace shearling
