// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/memory/physical_memory.h"

#include <openssl/evp.h>
#include <sys/mman.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/assert.h"

namespace shearling {

namespace {

constexpr std::size_t kBitsPerWord = 64;
constexpr FrameContent kZeroFrame{};

bool is_zero(const std::uint8_t* bytes) { return std::memcmp(bytes, kZeroFrame.data(), kFrameBytes) == 0; }

/// One bit a frame. Scanning it for 512 MB of RAM reads 16 KB.
class FrameBits {
 public:
  explicit FrameBits(std::uint64_t frames) : words_((frames + kBitsPerWord - 1) / kBitsPerWord, 0) {}

  [[nodiscard]] bool test(std::uint64_t frame) const {
    return ((words_[frame / kBitsPerWord] >> (frame % kBitsPerWord)) & 1) != 0;
  }
  void set(std::uint64_t frame) { words_[frame / kBitsPerWord] |= std::uint64_t{1} << (frame % kBitsPerWord); }
  void clear() { std::fill(words_.begin(), words_.end(), 0); }
  /// Calls `visit(frame)` for each set bit, in ascending order.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (std::size_t word = 0; word < words_.size(); ++word) {
      for (std::uint64_t left = words_[word]; left != 0; left &= left - 1) {
        visit(word * kBitsPerWord + static_cast<std::uint64_t>(std::countr_zero(left)));
      }
    }
  }
  /// True when one of `count` bits from `first` is set; both are multiples of the word's width.
  [[nodiscard]] bool any_in(std::uint64_t first, std::uint64_t count) const {
    const std::size_t end = std::min(words_.size(), static_cast<std::size_t>((first + count) / kBitsPerWord));
    for (std::size_t word = first / kBitsPerWord; word < end; ++word) {
      if (words_[word] != 0) return true;
    }
    return false;
  }

 private:
  std::vector<std::uint64_t> words_;
};
static_assert(MemorySnapshot::kChunkFrames % kBitsPerWord == 0);

}  // namespace

const FrameContent* MemorySnapshot::frame(std::uint64_t index) const {
  const std::size_t chunk = index / kChunkFrames;
  if (chunk >= chunks.size() || chunks[chunk] == nullptr) return nullptr;
  return (*chunks[chunk])[index % kChunkFrames].get();
}

/// Frames are counted from the start of RAM in here. `marked` is what the outside sees; snapshot and digest each keep a
/// set of their own, because the one may come more often than the other, and both end the validity of `marked`.
struct PhysicalMemory::Implementation {
  explicit Implementation(std::uint64_t frame_count)
      : frames(frame_count),
        touched(frame_count),
        marked(frame_count),
        since_snapshot(frame_count),
        since_digest(frame_count),
        frame_hash(frame_count, 0) {
    auto empty = std::make_shared<MemorySnapshot>();
    empty->chunks.resize((frame_count + MemorySnapshot::kChunkFrames - 1) / MemorySnapshot::kChunkFrames);
    picture = std::move(empty);
  }

  void mark(std::uint64_t frame) {
    if (marked.test(frame)) return;
    marked.set(frame);
    touched.set(frame);
    since_snapshot.set(frame);
    since_digest.set(frame);
  }

  void end_marks() {
    marked.clear();
    ++epoch;
  }

  std::uint64_t frames;
  std::uint64_t epoch = 0;
  FrameBits touched;  ///< Marked at any time; every other frame is zero and has no host memory behind it.
  FrameBits marked;
  FrameBits since_snapshot;  ///< May differ from `picture`.
  FrameBits since_digest;    ///< May differ from `frame_hash`.
  std::vector<std::uint64_t> frame_hash;
  std::uint64_t digest = 0;  ///< Sum of frame_hash.
  std::shared_ptr<const MemorySnapshot> picture;
};

PhysicalMemory::PhysicalMemory(PhysicalAddress base, std::uint64_t bytes)
    : base_(base), size_((bytes + kFrameBytes - 1) / kFrameBytes * kFrameBytes) {
  SHEARLING_ASSERT(base.value % kFrameBytes == 0 && size_ != 0, "RAM is made of whole frames");
  void* block = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (block == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<std::uint8_t*>(block);
  implementation_ = std::make_unique<Implementation>(size_ / kFrameBytes);
}

PhysicalMemory::~PhysicalMemory() { munmap(data_, size_); }

std::uint64_t PhysicalMemory::read(PhysicalAddress address, unsigned bytes) const {
  std::array<std::uint8_t, 8> raw{};
  read_bytes(address, std::span(raw).first(std::min<std::size_t>(bytes, raw.size())));
  std::uint64_t value = 0;
  std::memcpy(&value, raw.data(), raw.size());
  return value;
}

void PhysicalMemory::write(PhysicalAddress address, unsigned bytes, std::uint64_t value) {
  std::array<std::uint8_t, 8> raw{};
  std::memcpy(raw.data(), &value, raw.size());
  write_bytes(address, std::span(raw).first(std::min<std::size_t>(bytes, raw.size())));
}

void PhysicalMemory::read_bytes(PhysicalAddress address, std::span<std::uint8_t> out) const {
  if (contains(address, out.size())) {
    if (!out.empty()) std::memcpy(out.data(), data_ + (address.value - base_.value), out.size());
    return;
  }
  for (std::size_t index = 0; index < out.size(); ++index) {
    const PhysicalAddress place{address.value + index};
    out[index] = contains(place) ? data_[place.value - base_.value] : std::uint8_t{0xff};
  }
}

void PhysicalMemory::write_bytes(PhysicalAddress address, std::span<const std::uint8_t> in) {
  if (in.empty()) return;
  if (contains(address, in.size())) {
    const std::uint64_t offset = address.value - base_.value;
    for (std::uint64_t frame = offset / kFrameBytes; frame <= (offset + in.size() - 1) / kFrameBytes; ++frame) {
      implementation_->mark(frame);
    }
    std::memcpy(data_ + offset, in.data(), in.size());
    return;
  }
  for (std::size_t index = 0; index < in.size(); ++index) {
    const PhysicalAddress place{address.value + index};
    if (contains(place)) write_bytes(place, in.subspan(index, 1));
  }
}

std::span<const std::uint8_t> PhysicalMemory::frame(std::uint64_t frame_number) const {
  const PhysicalAddress address{frame_number * kFrameBytes};
  if (!contains(address)) return {};
  const std::uint64_t index = (address.value - base_.value) / kFrameBytes;
  if (!implementation_->touched.test(index)) return kZeroFrame;
  return {data_ + index * kFrameBytes, kFrameBytes};
}

void PhysicalMemory::will_write(PhysicalAddress address) {
  if (contains(address)) implementation_->mark((address.value - base_.value) / kFrameBytes);
}

bool PhysicalMemory::is_marked(PhysicalAddress address) const {
  return !contains(address) || implementation_->marked.test((address.value - base_.value) / kFrameBytes);
}

std::uint64_t PhysicalMemory::mark_epoch() const { return implementation_->epoch; }

std::shared_ptr<const MemorySnapshot> PhysicalMemory::snapshot() {
  auto& state = *implementation_;
  state.end_marks();
  const MemorySnapshot& before = *state.picture;
  std::shared_ptr<MemorySnapshot> after;
  std::size_t open_index = 0;
  std::shared_ptr<MemorySnapshot::Chunk> open;  // The chunk being changed; frames come in ascending order.
  state.since_snapshot.for_each([&](std::uint64_t frame) {
    const std::uint8_t* now = data_ + frame * kFrameBytes;
    const FrameContent* old = before.frame(frame);
    if (std::memcmp(now, old != nullptr ? old->data() : kZeroFrame.data(), kFrameBytes) == 0) return;
    const std::size_t index = frame / MemorySnapshot::kChunkFrames;
    if (after == nullptr) after = std::make_shared<MemorySnapshot>(before);
    if (open == nullptr || open_index != index) {
      open_index = index;
      open = before.chunks[index] != nullptr ? std::make_shared<MemorySnapshot::Chunk>(*before.chunks[index])
                                             : std::make_shared<MemorySnapshot::Chunk>();
      after->chunks[index] = open;
    }
    std::shared_ptr<FrameContent> copy;
    if (!is_zero(now)) {
      copy = std::make_shared_for_overwrite<FrameContent>();
      std::memcpy(copy->data(), now, kFrameBytes);
    }
    (*open)[frame % MemorySnapshot::kChunkFrames] = std::move(copy);
  });
  state.since_snapshot.clear();
  if (after != nullptr) state.picture = std::move(after);
  return state.picture;
}

std::vector<std::uint64_t> PhysicalMemory::restore(const std::shared_ptr<const MemorySnapshot>& picture) {
  auto& state = *implementation_;
  SHEARLING_ASSERT(picture->chunks.size() == state.picture->chunks.size(), "a snapshot is of a RAM of another size");
  std::vector<std::uint64_t> changed;
  for (std::size_t index = 0; index < picture->chunks.size(); ++index) {
    const std::uint64_t first = index * MemorySnapshot::kChunkFrames;
    if (picture->chunks[index] == state.picture->chunks[index] &&
        !state.since_snapshot.any_in(first, MemorySnapshot::kChunkFrames)) {
      continue;
    }
    const std::uint64_t end = std::min<std::uint64_t>(first + MemorySnapshot::kChunkFrames, state.frames);
    for (std::uint64_t frame = first; frame < end; ++frame) {
      const FrameContent* wanted = picture->frame(frame);
      if (wanted == state.picture->frame(frame) && !state.since_snapshot.test(frame)) continue;
      const std::uint8_t* source = wanted != nullptr ? wanted->data() : kZeroFrame.data();
      std::uint8_t* now = data_ + frame * kFrameBytes;
      if (std::memcmp(now, source, kFrameBytes) == 0) continue;
      std::memcpy(now, source, kFrameBytes);
      state.touched.set(frame);
      state.since_digest.set(frame);
      changed.push_back(frame_number(base_) + frame);
    }
  }
  state.picture = picture;
  state.since_snapshot.clear();
  state.end_marks();
  return changed;
}

std::uint64_t PhysicalMemory::digest() {
  auto& state = *implementation_;
  state.since_digest.for_each([&](std::uint64_t frame) {
    // The sum of seeded hashes needs no order, so one frame's share can be taken out and put back.
    const std::uint8_t* now = data_ + frame * kFrameBytes;
    const std::uint64_t hash = is_zero(now) ? 0 : XXH3_64bits_withSeed(now, kFrameBytes, frame + 1);
    state.digest += hash - state.frame_hash[frame];
    state.frame_hash[frame] = hash;
  });
  state.since_digest.clear();
  state.end_marks();
  return state.digest;
}

struct FrameSha256::Implementation {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

FrameSha256::FrameSha256() : implementation_(std::make_unique<Implementation>()) {
  EVP_DigestInit_ex(implementation_->context.get(), EVP_sha256(), nullptr);
}
FrameSha256::~FrameSha256() = default;

void FrameSha256::add(std::uint64_t frame_number, std::span<const std::uint8_t> bytes) {
  SHEARLING_ASSERT(bytes.empty() || bytes.size() == kFrameBytes, "a frame has 4,096 bytes");
  if (bytes.empty() || bytes.data() == kZeroFrame.data() || is_zero(bytes.data())) return;
  std::array<std::uint8_t, 8> number{};
  for (unsigned index = 0; index < number.size(); ++index) {
    number[index] = static_cast<std::uint8_t>(frame_number >> (8 * index));
  }
  EVP_DigestUpdate(implementation_->context.get(), number.data(), number.size());
  EVP_DigestUpdate(implementation_->context.get(), bytes.data(), bytes.size());
}

std::string FrameSha256::finish() {
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> raw{};
  unsigned length = 0;
  EVP_DigestFinal_ex(implementation_->context.get(), raw.data(), &length);
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (unsigned index = 0; index < length; ++index) {
    text += kDigits[raw[index] >> 4];
    text += kDigits[raw[index] & 15];
  }
  return text;
}

}  // namespace shearling
