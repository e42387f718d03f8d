// SPDX-License-Identifier: GPL-3.0-or-later
//
// One description of a component's state serves snapshots, restoring and digests: every stateful component has
//     template <typename Archive> void serialize(Archive& archive) { archive(a_, b_, table_); }
// and is written by Writer, read by Reader. What is not in serialize() is not state.
// Supported: trivially copyable values without padding (integers, enums, address types, arrays of them), std::vector,
// std::string, std::map, std::deque, std::optional, std::array, and any type with serialize().
// A trivially copyable struct WITH padding bytes must have serialize(), or digests would depend on stray bytes.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/base/assert.h"

namespace shearling {

template <typename T, typename Archive>
concept HasSerialize = requires(T& value, Archive& archive) {
  value.serialize(archive);
};

template <typename T>
concept PlainBytes = std::is_trivially_copyable_v<T> &&
    (std::has_unique_object_representations_v<T> || std::is_floating_point_v<T>);

/// Appends state to a byte string.
class Writer {
 public:
  static constexpr bool kReading = false;
  explicit Writer(std::vector<std::uint8_t>& bytes) : bytes_(bytes) {}

  template <typename... T>
  void operator()(const T&... values) {
    (write(values), ...);
  }
  void raw(const void* data, std::size_t size) {
    const auto* first = static_cast<const std::uint8_t*>(data);
    bytes_.insert(bytes_.end(), first, first + size);
  }

 private:
  template <typename T>
  void write(const T& value) {
    if constexpr (HasSerialize<T, Writer>)
      const_cast<T&>(value).serialize(*this);
    else if constexpr (PlainBytes<T>)
      raw(&value, sizeof value);
    else
      write_container(value);
  }
  template <typename T, std::size_t N>
  void write_container(const std::array<T, N>& values) {
    for (const auto& value : values) write(value);
  }
  template <typename T>
  void write_container(const std::optional<T>& value) {
    write(static_cast<std::uint8_t>(value.has_value()));
    if (value) write(*value);
  }
  template <typename A, typename B>
  void write_container(const std::pair<A, B>& value) {
    write(value.first);
    write(value.second);
  }
  void write_container(const std::string& value) {
    write_size(value.size());
    raw(value.data(), value.size());
  }
  template <typename T>
  void write_container(const std::vector<T>& values) {
    write_size(values.size());
    if constexpr (PlainBytes<T> && !HasSerialize<T, Writer>)
      raw(values.data(), values.size() * sizeof(T));
    else
      for (const auto& value : values) write(value);
  }
  template <typename T>
  void write_container(const std::deque<T>& values) {
    write_size(values.size());
    for (const auto& value : values) write(value);
  }
  template <typename K, typename V>
  void write_container(const std::map<K, V>& values) {
    write_size(values.size());
    for (const auto& value : values) write_container(value);
  }
  void write_size(std::size_t size) { write(static_cast<std::uint64_t>(size)); }

  std::vector<std::uint8_t>& bytes_;
};

/// Reads back what Writer wrote, in the same order.
class Reader {
 public:
  static constexpr bool kReading = true;
  explicit Reader(const std::vector<std::uint8_t>& bytes) : bytes_(bytes) {}

  template <typename... T>
  void operator()(T&... values) {
    (read(values), ...);
  }
  void raw(void* data, std::size_t size) {
    SHEARLING_ASSERT(position_ + size <= bytes_.size(), "a snapshot is shorter than the state it should hold");
    if (size != 0) std::memcpy(data, bytes_.data() + position_, size);
    position_ += size;
  }
  [[nodiscard]] bool at_end() const { return position_ == bytes_.size(); }

 private:
  template <typename T>
  void read(T& value) {
    if constexpr (HasSerialize<T, Reader>)
      value.serialize(*this);
    else if constexpr (PlainBytes<T>)
      raw(&value, sizeof value);
    else
      read_container(value);
  }
  template <typename T, std::size_t N>
  void read_container(std::array<T, N>& values) {
    for (auto& value : values) read(value);
  }
  template <typename T>
  void read_container(std::optional<T>& value) {
    std::uint8_t present = 0;
    read(present);
    if (present != 0)
      read(value.emplace());
    else
      value.reset();
  }
  void read_container(std::string& value) {
    value.resize(read_size());
    raw(value.data(), value.size());
  }
  template <typename T>
  void read_container(std::vector<T>& values) {
    values.resize(read_size());
    if constexpr (PlainBytes<T> && !HasSerialize<T, Reader>)
      raw(values.data(), values.size() * sizeof(T));
    else
      for (auto& value : values) read(value);
  }
  template <typename T>
  void read_container(std::deque<T>& values) {
    values.resize(read_size());
    for (auto& value : values) read(value);
  }
  template <typename K, typename V>
  void read_container(std::map<K, V>& values) {
    values.clear();
    for (std::size_t left = read_size(); left != 0; --left) {
      K key{};
      read(key);
      read(values[key]);
    }
  }
  std::size_t read_size() {
    std::uint64_t size = 0;
    read(size);
    return static_cast<std::size_t>(size);
  }

  const std::vector<std::uint8_t>& bytes_;
  std::size_t position_ = 0;
};

}  // namespace shearling
