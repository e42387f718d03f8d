// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-arm/gic/gic.h"

#include <bit>
#include <string>

#include "isa-arm/gic/cpu_interface.h"
#include "isa-arm/gic/interrupt_word.h"
#include "isa-arm/gic/virtual_interface.h"

namespace shearling::arm {
namespace {

constexpr unsigned kWords = kInterruptCount / 32, kSharedInterrupts = kInterruptCount - 32;
constexpr std::uint32_t kSoftwareInterrupts = 0xffff;  ///< SGIs, in word 0: always edge-triggered.

// Distributor (IHI 0069, 9.9). One security state (DS), affinity routing (ARE), both fixed; no LPIs, no 1-of-N routing.
constexpr std::uint64_t kCtlr = 0x0, kTyper = 0x4, kIidr = 0x8, kRouters = 0x6000, kRoutersEnd = 0x8000;
constexpr std::uint32_t kCtlrGroupEnables = 3, kCtlrFixed = 1U << 6 | 1U << 4;
// QEMU 7.2 has as many interrupts and says 7 in ITLinesNumber, one group of 32 too few.
constexpr std::uint32_t kTyperValue = 1U << 25 | 1U << 24 | 15U << 19 | (kWords - 1);
constexpr std::uint32_t kIidrValue = 0x43b;  // Arm
constexpr std::uint64_t kAffinityBits = 0xff'00ff'ffff;
// Redistributor (9.11): 64 KB of control registers, then 64 KB of a core's own interrupts.
constexpr std::uint64_t kFrameBytes = 0x10000, kRedistributorTyper = 0x8, kWaker = 0x14;
constexpr std::uint32_t kProcessorSleep = 1U << 1, kChildrenAsleep = 1U << 2;
// Identification (9.8), a byte a register, GICv3 in PIDR2. The two frames differ in the part number in PIDR0.
constexpr std::uint64_t kIdentification = 0xffd0;
constexpr std::array<std::uint8_t, 12> kDistributorIdentification{0x44, 0, 0,    0,    0x92, 0xb4,
                                                                  0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1};
constexpr std::array<std::uint8_t, 12> kRedistributorIdentification{0x44, 0, 0,    0,    0x93, 0xb4,
                                                                    0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1};
// ICC_SRE (12.2.20, 12.2.21): system registers only.
constexpr std::uint32_t kSystemRegisterEnable1 = 7, kSystemRegisterEnable2 = 0xf;

/// Affinities 3 to 0 in bits 39:32 and 23:0, as MPIDR_EL1 and GICD_IROUTER have them: sixteen cores a cluster.
constexpr std::uint64_t affinity_of(unsigned cpu) { return std::uint64_t{cpu / 16} << 8 | cpu % 16; }

constexpr std::uint64_t half_of(std::uint64_t value, std::uint64_t offset, unsigned size) {
  if (size == 8) return value;
  return (offset & 4) != 0 ? value >> 32 : value & 0xffff'ffff;
}

std::uint64_t identification(const std::array<std::uint8_t, 12>& bytes, std::uint64_t offset) {
  const std::uint64_t index = (offset - kIdentification) / 4;
  return offset >= kIdentification && index < bytes.size() ? bytes[index] : 0;
}

struct NamedSource {
  unsigned interrupt;
  std::string_view name;
};
constexpr std::array kNamedSources{NamedSource{kMaintenanceInterrupt, "GIC maintenance PPI 25"},
                                   NamedSource{kHypervisorTimerInterrupt, "EL2 physical timer PPI 26"},
                                   NamedSource{kVirtualTimerInterrupt, "virtual timer PPI 27"},
                                   NamedSource{kHypervisorVirtualTimerInterrupt, "EL2 virtual timer PPI 28"},
                                   NamedSource{kPhysicalTimerInterrupt, "physical timer PPI 30"},
                                   NamedSource{33, "SPI 33 (UART)"},
                                   NamedSource{34, "SPI 34 (real-time clock)"}};

std::array<std::string, kInterruptCount> make_source_names() {
  std::array<std::string, kInterruptCount> names;
  for (unsigned interrupt = 0; interrupt < kInterruptCount; ++interrupt) {
    const std::string kind = interrupt < 16 ? "SGI " : interrupt < 32 ? "PPI " : "SPI ";
    names[interrupt] = kind + std::to_string(interrupt);
  }
  for (const NamedSource& source : kNamedSources) names[source.interrupt] = source.name;
  return names;
}

/// Static text.
std::string_view source_of(unsigned interrupt) {
  static const std::array<std::string, kInterruptCount> kNames = make_source_names();
  return kNames[interrupt];
}

constexpr std::array<std::string_view, kListRegisters> kListRegisterSources{"list register 0", "list register 1",
                                                                            "list register 2", "list register 3"};

/// What the registers of one interrupt group are.
constexpr unsigned group_of(SystemRegister reg) {
  return reg == SystemRegister::ICC_IAR1_EL1 || reg == SystemRegister::ICC_EOIR1_EL1 ||
                 reg == SystemRegister::ICC_HPPIR1_EL1
             ? 1
             : 0;
}

/// What belongs to one core.
struct CoreInterrupts {
  InterruptWord own;  ///< SGIs and PPIs: the redistributor's SGI frame.
  std::uint32_t waker = kProcessorSleep | kChildrenAsleep;
  CpuInterface interface;
  VirtualInterface virtual_interface;

  CoreInterrupts() { own.edge = kSoftwareInterrupts; }
  [[nodiscard]] bool awake() const { return (waker & kChildrenAsleep) == 0; }
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(own, waker, interface, virtual_interface);
  }
};

}  // namespace

struct Gic::Implementation {
  /// One of the two memory-mapped parts.
  class Frame : public Device {
   public:
    using ReadFunction = std::uint64_t (Implementation::*)(std::uint64_t, unsigned) const;
    using WriteFunction = void (Implementation::*)(std::uint64_t, unsigned, std::uint64_t);
    Frame(std::string_view name, Implementation& gic, ReadFunction reader, WriteFunction writer)
        : name_(name), gic_(gic), read_(reader), write_(writer) {}
    [[nodiscard]] std::string_view name() const override { return name_; }
    // Sizes are powers of two; a register is reached at its own size and alignment only.
    std::uint64_t read(std::uint64_t offset, unsigned size) override {
      return offset % size == 0 ? (gic_.*read_)(offset, size) : 0;
    }
    void write(std::uint64_t offset, unsigned size, std::uint64_t value) override {
      if (offset % size == 0) (gic_.*write_)(offset, size, value);
    }
    // The state is the controller's, which saves both parts.
    void save(Writer&) const override {}
    void load(Reader&) override {}

   private:
    std::string_view name_;
    Implementation& gic_;
    ReadFunction read_;
    WriteFunction write_;
  };

  Implementation(unsigned cpus, EventStream& stream) : events(stream), cores(cpus), best(cpus) {
    distributor.emplace("GIC distributor", *this, &Implementation::read_distributor,
                        &Implementation::write_distributor);
    redistributors.emplace("GIC redistributor", *this, &Implementation::read_redistributor,
                           &Implementation::write_redistributor);
  }

  // --- interrupts ----------------------------------------------------------------------------------------------------

  [[nodiscard]] InterruptWord& word_of(unsigned cpu, unsigned word) {
    return word == 0 ? cores[cpu].own : shared[word - 1];
  }

  /// Every change of an interrupt goes through here: what becomes pending by it is told, and what was best is
  /// forgotten.
  template <typename Change>
  void change(unsigned cpu, unsigned word_index, Change make_change) {
    InterruptWord& word = word_of(cpu, word_index);
    const std::uint32_t before = word.pending();
    make_change(word);
    forget();
    for (std::uint32_t now = word.pending() & ~before; now != 0; now &= now - 1) {
      const unsigned interrupt = 32 * word_index + static_cast<unsigned>(std::countr_zero(now));
      events.notable(InterruptRequested{.source = source_of(interrupt), .vector = interrupt});
    }
  }

  void set_line(unsigned cpu, unsigned interrupt, bool level) {
    const unsigned bit = interrupt % 32;
    if ((word_of(cpu, interrupt / 32).line >> bit & 1) == (level ? 1U : 0U)) return;
    change(cpu, interrupt / 32, [&](InterruptWord& word) { word.set_line(bit, level); });
  }

  /// The most urgent candidate for a core among enabled groups (IHI 0069, 4.8): the lowest priority value, then the
  /// lowest number. A core whose redistributor sleeps (GICR_WAKER) gets none.
  [[nodiscard]] std::optional<PendingInterrupt> find_best(unsigned cpu) const {
    const CoreInterrupts& core = cores[cpu];
    if (!core.awake()) return std::nullopt;
    std::optional<PendingInterrupt> found;
    consider(core.own, cpu, 0, found);
    for (unsigned word = 1; word < kWords; ++word) consider(shared[word - 1], cpu, word, found);
    return found;
  }

  void consider(const InterruptWord& word, unsigned cpu, unsigned word_index,
                std::optional<PendingInterrupt>& found) const {
    const CpuInterface& interface = cores[cpu].interface;
    std::uint32_t candidates = word.candidates();
    if ((control & 1) == 0 || !interface.group_enabled(0)) candidates &= word.group;
    if ((control & 2) == 0 || !interface.group_enabled(1)) candidates &= ~word.group;
    for (; candidates != 0; candidates &= candidates - 1) {
      const auto bit = static_cast<unsigned>(std::countr_zero(candidates));
      const unsigned interrupt = 32 * word_index + bit;
      if (word_index != 0 && routers[interrupt - 32] != affinity_of(cpu)) continue;
      if (found && found->priority <= word.priority[bit]) continue;
      found = PendingInterrupt{interrupt, word.priority[bit], static_cast<std::uint8_t>(word.group >> bit & 1)};
    }
  }

  [[nodiscard]] std::optional<PendingInterrupt> highest_pending(unsigned cpu) const {
    if (!best[cpu].known) best[cpu] = {true, find_best(cpu)};
    return best[cpu].interrupt;
  }

  [[nodiscard]] std::optional<PendingInterrupt> signalled(unsigned cpu) const {
    const auto highest = highest_pending(cpu);
    if (!highest || !cores[cpu].interface.can_signal(*highest)) return std::nullopt;
    return highest;
  }

  void forget() {
    for (Best& each : best) each.known = false;
  }

  void deactivate(unsigned cpu, std::uint32_t interrupt) {
    if (interrupt >= kInterruptCount) return;
    change(cpu, interrupt / 32, [&](InterruptWord& word) { word.active &= ~(1U << (interrupt % 32)); });
  }

  // --- memory-mapped registers ---------------------------------------------------------------------------------------

  // The distributor's word 0 (a core's own interrupts) is in the redistributors, and reads as zero here (9.9).
  [[nodiscard]] std::uint64_t read_distributor(std::uint64_t offset, unsigned size) const {
    const WordAccess access = decode_word_access(offset, size);
    if (access.kind != WordAccess::Kind::None && access.word != 0 && access.word < kWords)
      return read_word(shared[access.word - 1], access, size);
    if (const auto router = router_at(offset, size)) return half_of(routers[*router], offset, size);
    if (size != 4) return 0;
    switch (offset) {
      case kCtlr:
        return kCtlrFixed | control;
      case kTyper:
        return kTyperValue;
      case kIidr:
        return kIidrValue;
      default:
        return identification(kDistributorIdentification, offset);
    }
  }

  void write_distributor(std::uint64_t offset, unsigned size, std::uint64_t value) {
    const WordAccess access = decode_word_access(offset, size);
    if (access.kind != WordAccess::Kind::None && access.word != 0 && access.word < kWords)
      return change(0, access.word, [&](InterruptWord& word) {
        write_word(word, access, size, static_cast<std::uint32_t>(value), ~0U);
      });
    if (const auto router = router_at(offset, size)) return write_router(*router, offset, size, value);
    if (offset != kCtlr || size != 4) return;
    control = static_cast<std::uint32_t>(value) & kCtlrGroupEnables;
    forget();
  }

  /// GICD_IROUTER<n>: n counts all interrupts, so that those of the first 32 are nobody's.
  [[nodiscard]] static std::optional<unsigned> router_at(std::uint64_t offset, unsigned size) {
    if (offset < kRouters || offset >= kRoutersEnd || size < 4) return std::nullopt;
    const auto interrupt = static_cast<unsigned>((offset - kRouters) / 8);
    if (interrupt < 32 || interrupt >= kInterruptCount) return std::nullopt;
    return interrupt - 32;
  }

  void write_router(unsigned router, std::uint64_t offset, unsigned size, std::uint64_t value) {
    std::uint64_t merged = value;
    if (size == 4 && (offset & 4) != 0) merged = (routers[router] & 0xffff'ffff) | value << 32;
    if (size == 4 && (offset & 4) == 0) merged = (routers[router] & ~0xffff'ffffULL) | (value & 0xffff'ffff);
    routers[router] = merged & kAffinityBits;
    forget();
  }

  [[nodiscard]] std::uint64_t read_redistributor(std::uint64_t offset, unsigned size) const {
    const auto cpu = static_cast<unsigned>(offset / kRedistributorBytes);
    if (cpu >= cores.size()) return 0;
    offset %= kRedistributorBytes;
    if (offset < kFrameBytes) return read_redistributor_control(cpu, offset, size);
    offset -= kFrameBytes;
    const WordAccess access = decode_word_access(offset, size);
    if (access.kind != WordAccess::Kind::None && access.word == 0) return read_word(cores[cpu].own, access, size);
    return 0;
  }

  [[nodiscard]] std::uint64_t read_redistributor_control(unsigned cpu, std::uint64_t offset, unsigned size) const {
    if ((offset & ~4ULL) == kRedistributorTyper && size >= 4) return half_of(redistributor_type(cpu), offset, size);
    if (size != 4) return 0;
    switch (offset) {
      case kTyper:
        return kIidrValue;  // GICR_IIDR lies where GICD_TYPER does.
      case kWaker:
        return cores[cpu].waker;
      default:
        return identification(kRedistributorIdentification, offset);
    }
  }

  /// GICR_TYPER: affinity, processor number, and whether it is the last of the row.
  [[nodiscard]] std::uint64_t redistributor_type(unsigned cpu) const {
    const std::uint64_t affinity = affinity_of(cpu);
    const std::uint64_t packed = (affinity >> 32 & 0xff) << 24 | (affinity & 0xffffff);
    return packed << 32 | 1U << 24 | std::uint64_t{cpu} << 8 | (cpu + 1 == cores.size() ? 1U << 4 : 0U);
  }

  void write_redistributor(std::uint64_t offset, unsigned size, std::uint64_t value) {
    const auto cpu = static_cast<unsigned>(offset / kRedistributorBytes);
    if (cpu >= cores.size()) return;
    offset %= kRedistributorBytes;
    const auto word_value = static_cast<std::uint32_t>(value);
    if (offset == kWaker && size == 4) {
      cores[cpu].waker = (word_value & kProcessorSleep) != 0 ? kProcessorSleep | kChildrenAsleep : 0;
      return forget();
    }
    if (offset < kFrameBytes) return;
    const WordAccess access = decode_word_access(offset - kFrameBytes, size);
    if (access.kind == WordAccess::Kind::None || access.word != 0) return;
    change(cpu, 0, [&](InterruptWord& word) { write_word(word, access, size, word_value, ~kSoftwareInterrupts); });
  }

  // --- physical CPU interface ----------------------------------------------------------------------------------------

  std::uint32_t acknowledge(unsigned cpu, unsigned group) {
    const auto taken = signalled(cpu);
    if (!taken || taken->group != group) return kSpuriousInterrupt;
    cores[cpu].interface.activate_priority(*taken);
    change(cpu, taken->interrupt / 32, [&](InterruptWord& word) { word.acknowledge(taken->interrupt % 32); });
    events.notable(InterruptAcknowledged{.interrupt = taken->interrupt, .priority = taken->priority});
    return taken->interrupt;
  }

  // An end that fits nothing active, or the other group, is UNPREDICTABLE (12.2.10); here it does nothing.
  void end(unsigned cpu, unsigned group, std::uint32_t interrupt) {
    CpuInterface& interface = cores[cpu].interface;
    if (interrupt >= kInterruptCount || interface.running_group() != group) return;
    interface.drop_priority(group);
    const bool deactivates = !interface.deactivation_is_separate();
    if (deactivates) deactivate(cpu, interrupt);
    events.notable(InterruptEnded{.interrupt = interrupt, .deactivated = deactivates});
  }

  void end_by_deactivation(unsigned cpu, std::uint32_t interrupt) {
    if (interrupt >= kInterruptCount || !cores[cpu].interface.deactivation_is_separate()) return;
    deactivate(cpu, interrupt);
    events.notable(InterruptEnded{.interrupt = interrupt, .deactivated = true});
  }

  /// ICC_SGI0R, ICC_SGI1R and ICC_ASGI1R (12.2.13 to 12.2.15). An SGI reaches the cores that have it in that group.
  void send(unsigned cpu, std::uint64_t value, unsigned group) {
    const auto bit = static_cast<unsigned>(value >> 24 & 15);
    const bool all_others = (value >> 40 & 1) != 0;
    const std::uint64_t cluster = (value >> 48 & 0xff) << 32 | (value >> 32 & 0xff) << 16 | (value >> 16 & 0xff) << 8;
    for (unsigned target = 0; target < cores.size(); ++target) {
      const std::uint64_t affinity = affinity_of(target);
      const bool listed =
          (affinity & ~0xffULL) == cluster && (affinity & 0xff) < 16 && (value >> (affinity & 15) & 1) != 0;
      if (all_others ? target == cpu : !listed) continue;
      if ((cores[target].own.group >> bit & 1) != group) continue;
      change(target, 0, [&](InterruptWord& word) { word.latched |= 1U << bit; });
    }
  }

  // --- virtual CPU interface -----------------------------------------------------------------------------------------

  std::uint32_t acknowledge_virtual(unsigned cpu, unsigned group) {
    const auto taken = cores[cpu].virtual_interface.acknowledge(group);
    if (!taken) return kSpuriousInterrupt;
    update_maintenance(cpu);
    events.notable(
        InterruptAcknowledged{.interrupt = taken->interrupt, .priority = taken->priority, .virtual_interface = true});
    return taken->interrupt;
  }

  void ended_virtual(unsigned cpu, std::uint32_t interrupt, const VirtualInterface::End& result) {
    update_maintenance(cpu);
    if (result.dropped || result.deactivated)
      events.notable(
          InterruptEnded{.interrupt = interrupt, .virtual_interface = true, .deactivated = result.deactivated});
    if (!result.physical) return;
    deactivate(cpu, *result.physical);
    events.notable(InterruptEnded{.interrupt = *result.physical, .deactivated = true});
  }

  void update_maintenance(unsigned cpu) {
    set_line(cpu, kMaintenanceInterrupt, cores[cpu].virtual_interface.maintenance_line());
  }

  void write_hypervisor(unsigned cpu, SystemRegister reg, std::uint64_t value) {
    VirtualInterface& interface = cores[cpu].virtual_interface;
    const bool is_list_register = reg >= SystemRegister::ICH_LR0_EL2 && reg <= SystemRegister::ICH_LR3_EL2;
    const bool was_pending = is_list_register && (interface.read(reg) & list_register::kPending) != 0;
    interface.write(reg, value);
    if (is_list_register && !was_pending && (value & list_register::kPending) != 0) {
      const auto number = static_cast<std::size_t>(reg) - static_cast<std::size_t>(SystemRegister::ICH_LR0_EL2);
      events.notable(InterruptRequested{.source = kListRegisterSources[number],
                                        .vector = list_register::interrupt_of(interface.read(reg))});
    }
    update_maintenance(cpu);
  }

  template <typename Archive>
  void serialize(Archive& archive) {
    archive(control, shared, routers);
    for (CoreInterrupts& core : cores) archive(core);
  }

  /// What find_best() gave since the last change.
  struct Best {
    bool known = false;
    std::optional<PendingInterrupt> interrupt;
  };

  EventStream& events;
  std::uint32_t control = 0;  ///< GICD_CTLR: the group enables.
  std::array<InterruptWord, kWords - 1> shared{};
  std::array<std::uint64_t, kSharedInterrupts> routers{};
  std::vector<CoreInterrupts> cores;
  mutable std::vector<Best> best;
  std::optional<Frame> distributor, redistributors;
};

Gic::Gic(unsigned cpus, EventStream& events) : implementation_(std::make_unique<Implementation>(cpus, events)) {}
Gic::~Gic() = default;

Device& Gic::distributor() { return *implementation_->distributor; }
Device& Gic::redistributors() { return *implementation_->redistributors; }

void Gic::set_shared_line(unsigned line, bool level) {
  if (line < kSharedInterrupts) implementation_->set_line(0, line + 32, level);
}
void Gic::set_private_line(unsigned cpu, unsigned interrupt, bool level) {
  implementation_->set_line(cpu, interrupt, level);
}

bool Gic::irq(unsigned cpu) const {
  const auto signalled = implementation_->signalled(cpu);
  return signalled && signalled->group == 1;
}
bool Gic::fiq(unsigned cpu) const {
  const auto signalled = implementation_->signalled(cpu);
  return signalled && signalled->group == 0;
}
bool Gic::virtual_irq(unsigned cpu) const {
  const auto signalled = implementation_->cores[cpu].virtual_interface.signalled();
  return signalled && signalled->group == 1;
}
bool Gic::virtual_fiq(unsigned cpu) const {
  const auto signalled = implementation_->cores[cpu].virtual_interface.signalled();
  return signalled && signalled->group == 0;
}

std::optional<unsigned> Gic::pending_interrupt(unsigned cpu) const {
  const auto signalled = implementation_->signalled(cpu);
  if (!signalled) return std::nullopt;
  return signalled->interrupt;
}
std::optional<unsigned> Gic::pending_virtual_interrupt(unsigned cpu) const {
  const auto signalled = implementation_->cores[cpu].virtual_interface.signalled();
  if (!signalled) return std::nullopt;
  return signalled->interrupt;
}

std::uint64_t Gic::read_cpu_interface(unsigned cpu, SystemRegister reg, bool virtual_interface) {
  Implementation& gic = *implementation_;
  CoreInterrupts& core = gic.cores[cpu];
  switch (reg) {
    case SystemRegister::ICC_IAR0_EL1:
    case SystemRegister::ICC_IAR1_EL1:
      return virtual_interface ? gic.acknowledge_virtual(cpu, group_of(reg)) : gic.acknowledge(cpu, group_of(reg));
    case SystemRegister::ICC_HPPIR0_EL1:
    case SystemRegister::ICC_HPPIR1_EL1: {
      const auto highest = virtual_interface ? core.virtual_interface.highest_pending() : gic.highest_pending(cpu);
      return highest && highest->group == group_of(reg) ? highest->interrupt : kSpuriousInterrupt;
    }
    case SystemRegister::ICC_SRE_EL1:
      return kSystemRegisterEnable1;
    case SystemRegister::ICC_SRE_EL2:
      return kSystemRegisterEnable2;
    default:
      return (virtual_interface ? core.virtual_interface.interface() : core.interface).read(reg);
  }
}

void Gic::write_cpu_interface(unsigned cpu, SystemRegister reg, std::uint64_t value, bool virtual_interface) {
  Implementation& gic = *implementation_;
  CoreInterrupts& core = gic.cores[cpu];
  const auto interrupt = static_cast<std::uint32_t>(value & 0xffffff);
  switch (reg) {
    case SystemRegister::ICC_EOIR0_EL1:
    case SystemRegister::ICC_EOIR1_EL1:
      if (!virtual_interface) return gic.end(cpu, group_of(reg), interrupt);
      return gic.ended_virtual(cpu, interrupt, core.virtual_interface.end(group_of(reg), interrupt));
    case SystemRegister::ICC_DIR_EL1:
      if (!virtual_interface) return gic.end_by_deactivation(cpu, interrupt);
      return gic.ended_virtual(cpu, interrupt, core.virtual_interface.deactivate(interrupt));
    // The other security state, whose SGIs ICC_ASGI1R_EL1 would send, does not exist: group 0 stands for it.
    case SystemRegister::ICC_SGI0R_EL1:
    case SystemRegister::ICC_ASGI1R_EL1:
      return gic.send(cpu, value, 0);
    case SystemRegister::ICC_SGI1R_EL1:
      return gic.send(cpu, value, 1);
    default:
      break;
  }
  (virtual_interface ? core.virtual_interface.interface() : core.interface)
      .write(reg, static_cast<std::uint32_t>(value));
  gic.update_maintenance(cpu);
  gic.forget();
}

std::uint64_t Gic::read_hypervisor(unsigned cpu, SystemRegister reg) const {
  return implementation_->cores[cpu].virtual_interface.read(reg);
}
void Gic::write_hypervisor(unsigned cpu, SystemRegister reg, std::uint64_t value) {
  implementation_->write_hypervisor(cpu, reg, value);
}

void Gic::reset_cpu_interface(unsigned cpu) {
  CoreInterrupts& core = implementation_->cores[cpu];
  core.interface = {};
  core.virtual_interface = {};
  implementation_->update_maintenance(cpu);
  implementation_->forget();
}

void Gic::save(Writer& writer) const { writer(*implementation_); }
void Gic::load(Reader& reader) {
  reader(*implementation_);
  implementation_->forget();
}

}  // namespace shearling::arm
