// SPDX-License-Identifier: GPL-3.0-or-later
//
// What stands between an ISA's MMU and the engine: answers the engine's fills, remembers which pages and accesses the
// instruction at hand has had, and tells the memory path and the event stream about each. One for each core. Three ways
// to execute: one step (every page is asked for once, exactly), directly (only pages that need nothing more from us are
// granted), and observed (as directly, and every access is known by its virtual address: each frame then has one name).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/engine/engine.h"
#include "core/machine/processor.h"

namespace shearling {

/// One translation, as the access that asked for it sees it.
struct PageTranslation {
  PhysicalAddress physical;  ///< Of the address that was asked for.
  PageSize page_size = PageSize::Size4K;
  bool writable_now = false;  ///< A write with the same rights would need no walk and no update of a table more.
};

/// The ISA's side: MMU and decoder. All is asked for the rights and mode that the core has now.
class AccessTranslator {
 public:
  virtual ~AccessTranslator() = default;
  /// An access of the instruction at hand: TLBs, walk, checks, table updates, events. Nothing: refused; the ISA keeps
  /// the reason.
  virtual std::optional<PageTranslation> translate_access(VirtualAddress address, AccessKind kind) = 0;
  /// The same where it changes nothing at all, else nothing. No events, no models.
  virtual std::optional<PageTranslation> probe_access(VirtualAddress address, AccessKind kind) = 0;
  [[nodiscard]] virtual bool is_table_frame(PhysicalAddress address) const = 0;
  /// Before a store into a table frame.
  virtual void table_store(PhysicalAddress address, unsigned size, std::uint64_t value) = 0;
  [[nodiscard]] virtual std::uint16_t address_space() const = 0;  ///< PCID or ASID, for events.
  [[nodiscard]] virtual VirtualAddress wrap(std::uint64_t address) const { return {address}; }
  /// As EngineClient's.
  virtual EngineClient::BlockPlan plan_block(VirtualAddress pc, std::span<const std::uint8_t> bytes) = 0;
  virtual std::uint32_t instructions_before(VirtualAddress pc, std::span<const std::uint8_t> bytes,
                                            std::uint32_t offset) = 0;
  virtual bool observable(VirtualAddress pc, std::span<const std::uint8_t> bytes) = 0;
};

class EngineAccesses final : private EngineClient {
 public:
  EngineAccesses(const MachineContext& context, AccessTranslator& translator);

  /// The engine asks this core from now on, and for everything anew. With several cores on one engine: after every
  /// change of core. One core at a time is attached; the one that is must detach before it goes.
  void attach();
  void detach();

  // --- one instruction
  /// Forgets what the instruction before has left.
  void begin_instruction();
  /// The same where an observed run has begun this one and left it Unfinished: its fetch and the pages that it has had
  /// stay; its accesses are made anew.
  void resume_instruction();
  /// The instruction's `index`th page of code (0 or 1) is this one.
  void set_fetched(unsigned index, VirtualAddress address, const PageTranslation& translation) {
    fetched_[index] = {address.value / kFrameBytes, translation};
    fetched_pages_ = index + 1;
  }
  [[nodiscard]] const PageTranslation& fetched(unsigned index) const { return fetched_[index].translation; }
  /// Executes the instruction at the program counter on the engine; its accesses are told by commit_accesses().
  EngineOutcome step_one();
  /// Tells the models and the event stream of the accesses of an instruction that has completed.
  void commit_accesses();
  /// Before the next iteration of a repeated instruction: each looks its pages up again.
  void forget_accesses() {
    step_pages_.clear();
    step_accesses_.clear();
  }

  // --- many
  /// Runs directly or observed until `budget` instructions are complete, or a stop.
  EngineOutcome run(std::uint64_t budget, bool observed);
  /// Whatever was granted to the engine may be wrong now (rights, mode, tables, address space, TLB contents).
  void translations_changed() { soft_tlb_stale_ = true; }
  /// After a snapshot was restored or the models were replaced.
  void reset();

  // --- memory on behalf of instructions that the ISA executes itself
  /// Within one page. Returns what was read, or `value`. RAM or a device; with its event and cache access.
  std::uint64_t access_physical(VirtualAddress address, const PageTranslation& translation, unsigned size,
                                AccessKind kind, std::uint64_t value);
  /// Before a store of our own: tables, snapshots and translated code hear of it.
  void will_store(PhysicalAddress address, unsigned size, std::uint64_t value);

 private:
  // EngineClient
  FillAnswer fill(VirtualAddress address, AccessKind kind) override;
  void memory_access(PhysicalAddress address, AccessKind kind, unsigned size, std::uint64_t value) override;
  std::uint64_t device_read(PhysicalAddress address, unsigned size) override;
  void device_write(PhysicalAddress address, unsigned size, std::uint64_t value) override;
  BlockPlan plan_block(VirtualAddress pc, std::span<const std::uint8_t> bytes) override;
  std::uint32_t instructions_before(VirtualAddress pc, std::span<const std::uint8_t> bytes,
                                    std::uint32_t offset) override;
  bool observable(VirtualAddress pc, std::span<const std::uint8_t> bytes) override;
  bool begin_instruction(VirtualAddress pc, unsigned size) override;
  void observed_access(PhysicalAddress address, AccessKind kind, unsigned size) override;

  struct FetchedPage {
    std::uint64_t page = 0;
    PageTranslation translation;
  };
  struct StepPage {
    std::uint64_t page = 0;
    AccessKind kind = AccessKind::Read;
    PageTranslation translation;
    bool counted = false;
  };
  struct StepAccess {
    VirtualAddress virtual_address;
    PhysicalAddress physical_address;
    AccessKind kind = AccessKind::Read;
    std::uint8_t size = 0;
    std::uint64_t value = 0;
    std::size_t page = 0;
  };
  struct ObservedPart {
    VirtualAddress virtual_address;
    AccessKind kind = AccessKind::Read;
    unsigned size = 0;
  };
  static constexpr std::uint64_t grant_key(std::uint64_t page, AccessKind kind) {
    return page << 1 | (kind == AccessKind::Write ? 1U : 0U);
  }
  FillAnswer fill_step(VirtualAddress address, AccessKind kind);
  FillAnswer fill_direct(VirtualAddress address, AccessKind kind);
  FillAnswer note_grant(VirtualAddress address, AccessKind kind, const FillAnswer& answer);
  const StepPage* step_page(VirtualAddress address, AccessKind kind);
  void await(const ObservedPart& part);
  bool observe(const ObservedPart& part);
  void observe_awaited();
  void drop_code(PhysicalAddress frame);

  MachineContext context_;
  AccessTranslator& translator_;
  std::array<FetchedPage, 2> fetched_{};
  unsigned fetched_pages_ = 0;
  std::vector<StepPage> step_pages_;
  std::vector<StepAccess> step_accesses_;
  bool running_ = false;   ///< Inside run().
  bool observed_ = false;  ///< Of an observed run.
  bool soft_tlb_stale_ = true;
  std::unordered_set<std::uint64_t> writable_frames_;  ///< Granted for writing since the soft TLB was last emptied.
  /// Observed: frame to page of what was granted since the soft TLB was last emptied. One page a frame, so that the
  /// physical address of an access says its virtual one.
  std::unordered_map<std::uint64_t, std::uint64_t> observed_pages_;
  std::unordered_set<std::uint64_t> granted_;  ///< grant_key()s of the same time.
  std::vector<ObservedPart> awaited_;  ///< Accesses of the present instruction whose pages were not granted yet.
};

}  // namespace shearling
