// SPDX-License-Identifier: GPL-3.0-or-later
#include "cache-sim/streams/page_map.h"

#include <algorithm>

#include "cache-sim/streams/deterministic_random.h"

namespace shearling {

namespace {

constexpr unsigned kRegionShift = 21;
constexpr unsigned kLeastPhysicalBits = 24, kMostPhysicalBits = 52;
constexpr std::uint64_t kAttempts = 64;                      // then the pool counts as full
constexpr std::uint64_t kOverflow = std::uint64_t{1} << 56;  // above every physical address
enum Purpose : std::uint64_t { kHomes = 1, kScattered, kStrata, kStratumShift, kAtHome };

bool is_share(double value) { return value >= 0 && value <= 1; }

bool overlap(const PageMapConfig::Range& a, const PageMapConfig::Range& b) {
  return a.first.value >> kRegionShift <= b.last.value >> kRegionShift &&
         b.first.value >> kRegionShift <= a.last.value >> kRegionShift;
}

bool covers(const std::vector<PageMapConfig::Range>& ranges, std::uint64_t region) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const PageMapConfig::Range& range) {
    return range.first.value >> kRegionShift <= region && region <= range.last.value >> kRegionShift;
  });
}

std::string problem_of_ranges(const PageMapConfig& config) {
  for (const auto* ranges : {&config.superpages, &config.base_pages}) {
    for (const PageMapConfig::Range& range : *ranges) {
      if (range.first.value > range.last.value) return "a range of pages ends before it begins";
    }
  }
  for (const PageMapConfig::Range& superpages : config.superpages) {
    for (const PageMapConfig::Range& base_pages : config.base_pages) {
      if (overlap(superpages, base_pages))
        return "a 2 MB region is asked to be a superpage and to consist of base pages";
    }
  }
  return {};
}

}  // namespace

std::string problem_of(const PageMapConfig& config) {
  if (page_shift(config.base_page) >= kRegionShift) return "a base page has 4 KB, 16 KB or 64 KB";
  if (!is_share(config.superpage_share)) return "the share of superpages lies between 0 and 1";
  if (!is_share(config.fragmentation)) return "the fragmentation lies between 0 and 1";
  if (config.physical_address_bits < kLeastPhysicalBits || config.physical_address_bits > kMostPhysicalBits)
    return "physical addresses have 24 to 52 bits";
  return problem_of_ranges(config);
}

PageMap::PageMap(PageMapConfig config)
    : config_(std::move(config)), base_shift_(page_shift(config_.base_page)), overflow_(kOverflow) {
  const unsigned half = config_.physical_address_bits - 1;
  homes_ = {.base = 0, .shift = kRegionShift, .number_bits = half - kRegionShift, .key = mixed(config_.seed, kHomes)};
  scattered_ = {.base = std::uint64_t{1} << half,
                .shift = base_shift_,
                .number_bits = half - base_shift_,
                .key = mixed(config_.seed, kScattered)};
}

// The first choice moves a whole area (pages that agree above number_bits) by a distance of its own, then permutes, so
// pages of one area never clash. Later choices are anywhere.
std::uint64_t PageMap::FramePool::choice(std::uint64_t page, std::uint16_t address_space, std::uint64_t attempt) const {
  const std::uint64_t area = mixed(key ^ address_space, page >> number_bits);
  const std::uint64_t number = attempt == 0 ? page + area : mixed(area ^ page, attempt);
  return permuted(number, number_bits, key);
}

PhysicalAddress PageMap::take_frame(FramePool& pool, std::uint64_t page, std::uint16_t address_space) {
  for (std::uint64_t attempt = 0; attempt < kAttempts; ++attempt) {
    const std::uint64_t number = pool.choice(page, address_space, attempt);
    if (pool.used.insert(number).second) return {pool.base + (number << pool.shift)};
  }
  overflow_ = (overflow_ + (std::uint64_t{1} << pool.shift) - 1) >> pool.shift << pool.shift;
  const PhysicalAddress frame{overflow_};
  overflow_ += std::uint64_t{1} << pool.shift;
  return frame;
}

// Sixteen regions in a row are ranked by a permutation of their own, and the first of them are superpages: that meets
// the share far better than a coin for each region would, for small footprints above all.
bool PageMap::wants_superpage(std::uint64_t region, std::uint16_t address_space) const {
  if (covers(config_.superpages, region)) return true;
  if (covers(config_.base_pages, region)) return false;
  const std::uint64_t stratum = mixed(mixed(config_.seed, kStrata) ^ address_space, region >> 4);
  const double rank = static_cast<double>(permuted(region, 4, stratum));
  return (rank + as_fraction(mixed(stratum, kStratumShift))) / 16 < config_.superpage_share;
}

bool PageMap::stays_at_home(std::uint64_t page, std::uint16_t address_space) const {
  return as_fraction(mixed(mixed(config_.seed, kAtHome) ^ address_space, page)) >= config_.fragmentation;
}

PageMap::Region& PageMap::region_of(VirtualAddress address, std::uint16_t address_space) {
  const std::uint64_t number = address.value >> kRegionShift;
  const auto [at, created] = regions_.try_emplace(number << 16 | address_space);
  if (created) at->second.superpage = wants_superpage(number, address_space);
  return at->second;
}

PhysicalAddress PageMap::home_of(Region& region, std::uint64_t number, std::uint16_t address_space) {
  if (!region.has_home) region.home = take_frame(homes_, number, address_space);
  region.has_home = true;
  return region.home;
}

std::uint64_t PageMap::base_frame(Region& region, VirtualAddress address, std::uint16_t address_space) {
  const std::uint64_t page = address.value >> base_shift_;
  const std::size_t pages = std::size_t{1} << (kRegionShift - base_shift_);
  if (region.frames.empty()) region.frames.assign(pages, kNoPage);
  std::uint64_t& frame = region.frames[page & (pages - 1)];
  if (frame != kNoPage) return frame;
  count(config_.base_page, page_bytes(config_.base_page));
  if (region.splintered || stays_at_home(page, address_space)) {
    const std::uint64_t home = home_of(region, address.value >> kRegionShift, address_space).value;
    frame = home + ((page & (pages - 1)) << base_shift_);
  } else {
    frame = take_frame(scattered_, page, address_space).value;
  }
  return frame;
}

MappedPage PageMap::look_up(VirtualAddress address, std::uint16_t address_space) {
  Region& region = region_of(address, address_space);
  const PageSize size = region.superpage ? PageSize::Size2M : config_.base_page;
  MappedPage mapped{.page = {address.value & ~page_offset_mask(size)}, .frame = {}, .size = size};
  if (region.superpage) {
    mapped.frame = home_of(region, address.value >> kRegionShift, address_space);
    if (!region.touched) count(PageSize::Size2M, page_bytes(PageSize::Size2M));
    region.touched = true;
  } else {
    mapped.frame = {base_frame(region, address, address_space)};
  }
  recent_[(address.value >> 12) & (kRecentPages - 1)] = {
      .page = address.value >> 12, .address_space = address_space, .mapped = mapped};
  return mapped;
}

bool PageMap::splinter(VirtualAddress address, std::uint16_t address_space) {
  Region& region = region_of(address, address_space);
  if (!region.superpage) return false;
  region.superpage = false;
  region.splintered = true;
  region.frames.clear();
  if (region.touched) {  // all of it was mapped, so all of it may be cached
    count(PageSize::Size2M, -page_bytes(PageSize::Size2M));
    const std::uint64_t first = address.value >> kRegionShift << kRegionShift;
    for (std::uint64_t offset = 0; offset < page_bytes(PageSize::Size2M); offset += page_bytes(config_.base_page))
      base_frame(region, {first + offset}, address_space);
  }
  region.touched = false;
  forget_recent();
  return true;
}

bool PageMap::promote(VirtualAddress address, std::uint16_t address_space, std::vector<PhysicalAddress>& old_frames) {
  old_frames.clear();
  Region& region = region_of(address, address_space);
  if (region.superpage) return false;
  for (const std::uint64_t frame : region.frames) {
    if (frame == kNoPage) continue;
    old_frames.push_back({frame});
    count(config_.base_page, -page_bytes(config_.base_page));
  }
  region.superpage = true;
  region.touched = !old_frames.empty();
  if (region.touched) count(PageSize::Size2M, page_bytes(PageSize::Size2M));
  region.frames.clear();
  home_of(region, address.value >> kRegionShift, address_space);
  forget_recent();
  return true;
}

}  // namespace shearling
