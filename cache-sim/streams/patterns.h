// SPDX-License-Identifier: GPL-3.0-or-later
//
// Data access patterns of generated streams, as offsets into a footprint. None keeps a table of its footprint: lists,
// graphs and trees are functions of position and seed, so 16 GB need no more memory than 16 MB.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cache-sim/streams/deterministic_random.h"

namespace shearling {

struct DataReference {
  std::uint64_t offset = 0;
  std::uint32_t size = 8;
  bool write = false;
};

class Pattern {
 public:
  Pattern() = default;
  virtual ~Pattern() = default;
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;
  /// Appends the references of one step, at least one.
  virtual void step(std::vector<DataReference>& to) = 0;
};

/// A permutation of 0 to count - 1.
class Scatter {
 public:
  Scatter(std::uint64_t count, std::uint64_t key);
  [[nodiscard]] std::uint64_t operator()(std::uint64_t value) const;

 private:
  std::uint64_t count_, key_;
  unsigned bits_ = 0;
};

/// Ranks 0 to count - 1 after Zipf's law with exponent `skew`: exact between octaves (1, 2-3, 4-7, ...), uniform
/// inside.
class SkewedRank {
 public:
  SkewedRank(std::uint64_t count, double skew);
  [[nodiscard]] std::uint64_t operator()(RandomSequence& random) const;

 private:
  std::uint64_t count_;
  std::vector<std::uint64_t> cumulated_;  ///< Of 2^32, by octave.
};

struct PatternBase {
  std::uint64_t footprint = 0;
  double writes = 0;  ///< Share of all references; patterns reach it on those that can be writes.
  std::uint64_t seed = 1;
};

/// Nodes of a linked list in an order of their own; `run` of them lie one after the other. Each node's pointer is read,
/// then `fields` words of it are used.
std::unique_ptr<Pattern> pointer_chase(const PatternBase& base, std::uint64_t node, std::uint64_t fields,
                                       std::uint64_t run);
/// A graph in compressed sparse rows: vertices in an order of their own, their edges one after the other, and the data
/// of each neighbour, popular ones (`skew`) more often.
std::unique_ptr<Pattern> graph_walk(const PatternBase& base, std::uint64_t degree, double skew);
/// Words anywhere, read and usually written back.
std::unique_ptr<Pattern> random_update(const PatternBase& base);
/// A hash table of items: bucket, header, then the whole value of `item` bytes.
std::unique_ptr<Pattern> key_value(const PatternBase& base, std::uint64_t item, double skew);
/// Seven points of a cubic grid into another grid, cell after cell.
std::unique_ptr<Pattern> stencil(const PatternBase& base);
/// `arrays` arrays in step: all but the last are read, the last is written.
std::unique_ptr<Pattern> stream_arrays(const PatternBase& base, std::uint64_t arrays);
/// From the root of a tree of nodes to a leaf: three words of each node.
std::unique_ptr<Pattern> tree_search(const PatternBase& base, std::uint64_t node, std::uint64_t fanout, double skew);

}  // namespace shearling
