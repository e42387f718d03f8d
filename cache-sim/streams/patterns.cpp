// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/streams/patterns.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace shearling {

namespace {

constexpr std::uint32_t kWord = 8;

/// The chance with which each of `candidates` references must be a write, so that of `all` the share is `writes`.
std::uint64_t write_chance(double writes, double all, double candidates) {
  return chance_of(std::min(1.0, writes * all / candidates));
}

/// The chance of one write after `reads` reads, so that of all references the share is `writes`.
std::uint64_t trailing_write_chance(double writes, double reads) {
  return writes >= 1 ? chance_of(1) : chance_of(std::min(1.0, writes * reads / (1 - writes)));
}

class PointerChase final : public Pattern {
 public:
  PointerChase(const PatternBase& base, std::uint64_t node, std::uint64_t fields, std::uint64_t run)
      : node_(node),
        fields_(fields),
        run_(run),
        runs_(std::max<std::uint64_t>(1, base.footprint / (node * run))),
        order_(runs_, mixed(base.seed, 1)),
        random_(mixed(base.seed, 2)),
        write_(write_chance(base.writes, static_cast<double>(fields + 1),
                            static_cast<double>(std::max<std::uint64_t>(1, fields)))) {}
  void step(std::vector<DataReference>& to) override {
    if (in_run_ == run_) {
      in_run_ = 0;
      at_ = order_(next_run_);
      if (++next_run_ == runs_) next_run_ = 0;
    }
    const std::uint64_t first = (at_ * run_ + in_run_++) * node_;
    to.push_back({first, kWord, false});
    for (std::uint64_t i = 0; i < fields_; ++i)
      to.push_back({first + random_.below(node_ / kWord) * kWord, kWord, random_.chance(write_)});
  }

 private:
  std::uint64_t node_, fields_, run_, runs_;
  Scatter order_;
  RandomSequence random_;
  std::uint64_t write_;
  std::uint64_t next_run_ = 0, at_ = 0, in_run_ = run_;
};

class GraphWalk final : public Pattern {
 public:
  GraphWalk(const PatternBase& base, std::uint64_t degree, double skew)
      : degree_(degree),
        vertices_(std::max<std::uint64_t>(1, base.footprint / (kVertexData + kWord + kWord * degree))),
        order_(vertices_, mixed(base.seed, 1)),
        places_(vertices_, mixed(base.seed, 2)),
        popular_(vertices_, skew),
        random_(mixed(base.seed, 3)),
        write_(write_chance(base.writes, static_cast<double>(1 + 2 * degree), static_cast<double>(degree))) {}
  void step(std::vector<DataReference>& to) override {
    const std::uint64_t offsets = vertices_ * kVertexData, edges = offsets + vertices_ * kWord;
    const std::uint64_t vertex = order_(next_);
    if (++next_ == vertices_) next_ = 0;
    to.push_back({offsets + vertex * kWord, kWord, false});
    // One to twice the mean degree less one, from the vertex's own stretch of the edge list.
    const std::uint64_t edges_here = 1 + random_.below(2 * degree_ - 1);
    for (std::uint64_t edge = 0; edge < edges_here; ++edge) {
      to.push_back({edges + (vertex * degree_ + edge) % (vertices_ * degree_) * kWord, kWord, false});
      to.push_back({places_(popular_(random_)) * kVertexData, kWord, random_.chance(write_)});
    }
  }

 private:
  static constexpr std::uint64_t kVertexData = 16;
  std::uint64_t degree_, vertices_;
  Scatter order_, places_;
  SkewedRank popular_;
  RandomSequence random_;
  std::uint64_t write_;
  std::uint64_t next_ = 0;
};

class RandomUpdate final : public Pattern {
 public:
  explicit RandomUpdate(const PatternBase& base)
      : words_(base.footprint / kWord), random_(mixed(base.seed, 1)), write_(trailing_write_chance(base.writes, 1)) {}
  void step(std::vector<DataReference>& to) override {
    const std::uint64_t offset = random_.bits() % words_ * kWord;
    to.push_back({offset, kWord, false});
    if (random_.chance(write_)) to.push_back({offset, kWord, true});
  }

 private:
  std::uint64_t words_;
  RandomSequence random_;
  std::uint64_t write_;
};

class KeyValue final : public Pattern {
 public:
  KeyValue(const PatternBase& base, std::uint64_t item, double skew)
      : pieces_(item / kPiece),
        items_(std::max<std::uint64_t>(1, base.footprint / (item + kHeader + kWord))),
        buckets_(items_, mixed(base.seed, 1)),
        places_(items_, mixed(base.seed, 2)),
        popular_(items_, skew),
        random_(mixed(base.seed, 3)),
        write_(write_chance(base.writes, static_cast<double>(pieces_ + 2), static_cast<double>(pieces_))) {}
  void step(std::vector<DataReference>& to) override {
    const std::uint64_t rank = popular_(random_);
    const std::uint64_t item = items_ * kWord + places_(rank) * (pieces_ * kPiece + kHeader);
    to.push_back({buckets_(rank) * kWord, kWord, false});
    to.push_back({item, kPiece, false});
    const bool write = random_.chance(write_);
    for (std::uint64_t piece = 0; piece < pieces_; ++piece)
      to.push_back({item + kHeader + piece * kPiece, kPiece, write});
  }

 private:
  static constexpr std::uint32_t kPiece = 16, kHeader = 32;
  std::uint64_t pieces_, items_;
  Scatter buckets_, places_;
  SkewedRank popular_;
  RandomSequence random_;
  std::uint64_t write_;
};

class Stencil final : public Pattern {
 public:
  explicit Stencil(const PatternBase& base)
      : side_(side_of(base.footprint / 2 / kWord)),
        plane_(side_ * side_),
        cells_(plane_ * side_),
        random_(mixed(base.seed, 1)),
        write_(trailing_write_chance(base.writes, 7)),
        at_(plane_) {}
  void step(std::vector<DataReference>& to) override {
    const std::uint64_t from = source_ * cells_, into = (1 - source_) * cells_;
    for (const std::uint64_t neighbour : {at_ - plane_, at_ - side_, at_ - 1, at_, at_ + 1, at_ + side_, at_ + plane_})
      to.push_back({(from + neighbour) * kWord, kWord, false});
    if (random_.chance(write_)) to.push_back({(into + at_) * kWord, kWord, true});
    if (++at_ < cells_ - plane_) return;
    at_ = plane_;
    source_ = 1 - source_;
  }

 private:
  static std::uint64_t side_of(std::uint64_t cells) {
    auto side = static_cast<std::uint64_t>(std::cbrt(static_cast<double>(cells)));
    while (side * side * side > cells) --side;
    return side;
  }
  std::uint64_t side_, plane_, cells_;
  RandomSequence random_;
  std::uint64_t write_;
  std::uint64_t at_, source_ = 0;
};

class StreamArrays final : public Pattern {
 public:
  StreamArrays(const PatternBase& base, std::uint64_t arrays)
      : arrays_(arrays),
        words_(base.footprint / arrays / kWord),
        random_(mixed(base.seed, 1)),
        write_(trailing_write_chance(base.writes, static_cast<double>(arrays - 1))) {}
  void step(std::vector<DataReference>& to) override {
    for (std::uint64_t array = 0; array + 1 < arrays_; ++array)
      to.push_back({(array * words_ + at_) * kWord, kWord, false});
    if (random_.chance(write_)) to.push_back({((arrays_ - 1) * words_ + at_) * kWord, kWord, true});
    if (++at_ == words_) at_ = 0;
  }

 private:
  std::uint64_t arrays_, words_;
  RandomSequence random_;
  std::uint64_t write_;
  std::uint64_t at_ = 0;
};

class TreeSearch final : public Pattern {
 public:
  TreeSearch(const PatternBase& base, std::uint64_t node, std::uint64_t fanout, double skew)
      : node_(node),
        fanout_(fanout),
        levels_(levels_of(base.footprint / node, fanout)),
        leaves_(levels_.back().nodes),
        places_(leaves_, mixed(base.seed, 1)),
        popular_(leaves_, skew),
        random_(mixed(base.seed, 2)),
        write_(write_chance(base.writes, static_cast<double>(levels_.size()), 1)) {}
  void step(std::vector<DataReference>& to) override {
    const std::uint64_t leaf = places_(popular_(random_));
    for (const Level& level : levels_) {
      const std::uint64_t node = (level.first + leaf / level.leaves_below) * node_;
      const bool write = &level == &levels_.back() && random_.chance(write_);
      for (unsigned word = 0; word < kWordsUsed; ++word)
        to.push_back({node + random_.below(node_ / kWord) * kWord, kWord, write});
    }
  }

 private:
  static constexpr unsigned kWordsUsed = 3;
  struct Level {
    std::uint64_t first = 0, nodes = 1, leaves_below = 1;
  };
  /// As many leaves as fit, and above them all the nodes that they need.
  static std::vector<Level> levels_of(std::uint64_t nodes, std::uint64_t fanout) {
    const auto most_levels = static_cast<std::uint64_t>(std::bit_width(nodes));  // each may round up by one node
    const std::uint64_t leaves = std::max<std::uint64_t>(1, (nodes - most_levels) / fanout * (fanout - 1));
    std::vector<Level> levels;
    for (std::uint64_t below = 1, level = leaves;; below *= fanout, level = (level + fanout - 1) / fanout) {
      levels.insert(levels.begin(), {0, level, below});
      if (level == 1) break;
    }
    for (std::size_t i = 1; i < levels.size(); ++i) levels[i].first = levels[i - 1].first + levels[i - 1].nodes;
    return levels;
  }

  std::uint64_t node_, fanout_;
  std::vector<Level> levels_;
  std::uint64_t leaves_;
  Scatter places_;
  SkewedRank popular_;
  RandomSequence random_;
  std::uint64_t write_;
};

}  // namespace

Scatter::Scatter(std::uint64_t count, std::uint64_t key)
    : count_(count), key_(key), bits_(static_cast<unsigned>(std::bit_width(count - 1))) {}

// A permutation of the next power of two, walked until it comes out below the count: at most two tries on average.
std::uint64_t Scatter::operator()(std::uint64_t value) const {
  do {
    value = permuted(value, bits_, key_);
  } while (value >= count_);
  return value;
}

SkewedRank::SkewedRank(std::uint64_t count, double skew) : count_(count) {
  std::vector<double> weights;
  double sum = 0;
  for (std::uint64_t first = 1; first <= count; first *= 2) {
    const std::uint64_t behind = std::min(first * 2, count + 1);
    const double middle = static_cast<double>(first + behind - 1) / 2;
    weights.push_back(static_cast<double>(behind - first) * std::pow(middle, -skew));
    sum += weights.back();
  }
  double cumulated = 0;
  for (const double weight : weights) cumulated_.push_back(chance_of((cumulated += weight) / sum));
  cumulated_.back() = chance_of(1);
}

std::uint64_t SkewedRank::operator()(RandomSequence& random) const {
  const std::uint64_t bits = random.bits();
  unsigned octave = 0;
  while (bits >> 32 >= cumulated_[octave]) ++octave;
  const std::uint64_t first = std::uint64_t{1} << octave;
  const std::uint64_t width = std::min(first, count_ + 1 - first);
  return first - 1 + (((bits & 0xffffffffU) * width) >> 32);
}

std::unique_ptr<Pattern> pointer_chase(const PatternBase& base, std::uint64_t node, std::uint64_t fields,
                                       std::uint64_t run) {
  return std::make_unique<PointerChase>(base, node, fields, run);
}
std::unique_ptr<Pattern> graph_walk(const PatternBase& base, std::uint64_t degree, double skew) {
  return std::make_unique<GraphWalk>(base, degree, skew);
}
std::unique_ptr<Pattern> random_update(const PatternBase& base) { return std::make_unique<RandomUpdate>(base); }
std::unique_ptr<Pattern> key_value(const PatternBase& base, std::uint64_t item, double skew) {
  return std::make_unique<KeyValue>(base, item, skew);
}
std::unique_ptr<Pattern> stencil(const PatternBase& base) { return std::make_unique<Stencil>(base); }
std::unique_ptr<Pattern> stream_arrays(const PatternBase& base, std::uint64_t arrays) {
  return std::make_unique<StreamArrays>(base, arrays);
}
std::unique_ptr<Pattern> tree_search(const PatternBase& base, std::uint64_t node, std::uint64_t fanout, double skew) {
  return std::make_unique<TreeSearch>(base, node, fanout, skew);
}

}  // namespace shearling
