// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/app/gui/view_builder.h"

#include "isa-arm/isa_arm.h"
#include "isa-x86/isa_x86.h"

namespace shearling::gui {
namespace {

constexpr std::uint64_t kPc = 0x1012c4;

RegisterRow reg(std::string_view name, std::string_view group, std::uint64_t believed, std::uint64_t real,
                const char* note = "", unsigned bits = 64) {
  return {.name = name, .group = group, .believed = believed, .real = real, .bits = bits, .note = note};
}

std::vector<RegisterRow> registers(bool vmm, std::uint64_t rax) {
  return {reg("RIP", "general", kPc + 2, kPc + 2),
          reg("RAX", "general", rax, rax),
          reg("RSP", "general", 0x109fe0, 0x109fe0),
          reg("CR0", "control", 0x80010033, 0x80010033, "", 32),
          reg("CR3", "control", 0x104000, 0x104000, vmm ? "gPA; EPTP 0x7c3000" : ""),
          reg("CR4", "control", 0x620, vmm ? 0x2620 : 0x620, vmm ? "VMXE" : "", 32),
          reg("CPL", "control", 0, 0, vmm ? "non-root" : "", 4),
          reg("TSC", "system", 61112, vmm ? 61940 : 61112, vmm ? "offset -828" : ""),
          reg("IDTR", "system", 0x105000, 0x105000)};
}

DisassembledInstruction instruction(std::uint64_t address, const char* text,
                                    InstructionClass classification = InstructionClass::Innocuous) {
  return {.address = {address}, .bytes = {0x90, 0x90}, .text = text, .classification = classification};
}

}  // namespace

ViewBuilder::ViewBuilder(VmmTechnique technique) : view_(std::make_shared<MachineView>()) {
  MachineView& view = *view_;
  const bool vmm = technique != VmmTechnique::Bare;
  view.state = RunState::Paused;
  view.guest = "kernel.elf";
  view.isa = &x86::x86_isa();
  view.machine = "pc";
  view.technique = technique;
  view.position = 48214;
  view.furthest = 60000;
  view.cycles = 61940;
  view.mode = "64-bit mode";
  view.actor = Actor::GuestKernel;
  view.pc = {kPc + 2};
  view.instruction = "cpuid";
  view.instruction_pc = {kPc};
  view.symbol = "kernel_main+0x26";
  view.instruction_symbol = "kernel_main+0x24";
  view.registers = registers(vmm, 1);
  view.registers_before = registers(vmm, 0);
  if (vmm) {
    view.control = {{"guest state", "guest RIP", 0x681e, kPc + 2},
                    {"guest state", "guest RSP", 0x681c, 0x109fe0},
                    {"guest state", "guest CR3", 0x6802, 0x104000},
                    {"execution controls", "pin-based controls", 0x4000, 0x1f},
                    {"execution controls", "EPT pointer", 0x201a, 0x7c301e},
                    {"exit information", "exit reason", 0x4402, 10},
                    {"exit information", "instruction length", 0x440c, 2}};
    view.control_before = view.control;
    view.control_before[5].value = 30;
  }
  view.disassembly = {instruction(kPc + 2, "bt ecx, 31"),
                      instruction(kPc + 6, "jc 0x101300"),
                      instruction(kPc + 8, "lea rdi, [rip + 0x1e3]"),
                      instruction(kPc + 15, "call 0x100f00"),
                      instruction(kPc + 20, "cpuid", InstructionClass::BehaviourSensitive),
                      instruction(kPc + 22, "hlt", InstructionClass::Privileged)};
  auto text = std::make_shared<std::vector<std::string>>();
  for (const char* line : {"\tmov eax, 1", "\t; who are we running on?", "\tcpuid", "\tbt ecx, 31",
                           "\tjc virtual_machine", "\tlea rdi, [rip + bare_msg]", "\tcall puts"})
    text->push_back(line);
  view.source = {
      .file = "lessons/guests/kernel.S", .line = 4, .text = text, .lines = std::make_shared<const SourceLines>()};
  view.breakpoints = {kPc + 15};
  view.caches.l1d.config = {
      .name = "L1D", .size = 32 * 1024, .ways = 8, .line = 64, .organisation = CacheOrganisation::Seesaw};
  view.caches.l1d.config.plain_twin = true;
  view.caches.l1d.sets = 64;
  view.caches.l1d.partitions = 2;
  view.caches.l1d.counters = {.reads = 800,
                              .writes = 200,
                              .read_misses = 40,
                              .write_misses = 10,
                              .ways_probed = 5040,
                              .write_backs = 3,
                              .energy = 34.0};
  view.caches.twin = view.caches.l1d;
  view.caches.twin->config.name = "L1D VIPT";
  view.caches.twin->config.organisation = CacheOrganisation::Vipt;
  view.caches.twin->partitions = 1;
  view.caches.twin->counters.ways_probed = 8000;
  view.caches.twin->counters.energy = 47.0;
  view.caches.seesaw = {710, 30, 20, 240};
  view.caches.tft.resize(16);
  view.caches.tft[1] = {0x7f3a00000 >> 9, 1};
  view.caches.tft[2] = {0x7f3a80000 >> 9, 1};
  view.console = std::make_shared<const std::string>("ring 0: going to ring 3\nring 3: hello through SYSCALL\n");
  view.timeline = std::make_shared<Timeline>();
}

ViewBuilder& ViewBuilder::arm(VmmTechnique technique, bool has_control) {
  MachineView& view = *view_;
  view.isa = &arm::arm_isa();
  view.guest = "aa64-kernel.elf";
  view.machine = "virt";
  view.technique = technique;
  view.mode = "EL1h";
  view.privilege = 1;
  view.instruction = "mrs x0, midr_el1";
  view.registers = {reg("X0", "general", 1, 1), reg("PC", "general", kPc, kPc),
                    reg("ESR_EL1", "exceptions", 0x56000000, 0x56000000, "EC=0x15 (SVC), IL=1"),
                    reg("HCR_EL2", "virtualization", 0x80000001, 0x80000001, "RW=1, VM=1"),
                    reg("TTBR1_EL1", "translation", 0x41000000, 0x41000000)};
  view.registers_before = view.registers;
  view.control.clear();
  if (has_control) view.control = {{"traps and routing", "HCR_EL2", 0xe088, 0x80000001}};
  view.control_before = view.control;
  return *this;
}

ViewBuilder& ViewBuilder::two_cpus() {
  MachineView& view = *view_;
  CpuView other{.registers = view.registers, .registers_before = view.registers};
  other.registers[0].believed = other.registers[0].real = 77;
  view.cpus = {{view.registers, view.registers_before}, other};
  view.cpu = 1;
  return *this;
}

ViewBuilder& ViewBuilder::trap_to(std::uint8_t from, std::uint8_t to) {
  event(InstructionFetched{.pc = {kPc}, .physical_address = {kPc}, .length = 4}, Actor::GuestKernel, from);
  return event(TrapDelivered{.name = "HVC", .vector = 0x16, .from_privilege = from, .to_privilege = to},
               Actor::Hardware, to);
}

ViewBuilder& ViewBuilder::event(EventPayload payload, Actor actor, std::uint8_t privilege) {
  Event made;
  made.step = view_->position - 1;
  made.ordinal = static_cast<std::uint32_t>(view_->events.size());
  made.actor = actor;
  made.privilege = privilege;
  made.payload = std::move(payload);
  const bool reference = std::holds_alternative<WalkReference>(made.payload);
  view_->entries.emplace_back(reference ? "P=1 W=1 U=0 A=1 D=0 frame 0x1234" : "");
  view_->events.push_back(std::move(made));
  return *this;
}

ViewBuilder& ViewBuilder::cpuid_exit() {
  InstructionFetched fetched{.pc = {kPc}, .physical_address = {0x7a12c4}, .length = 2};
  fetched.classification = InstructionClass::BehaviourSensitive;
  event(fetched, Actor::GuestKernel);
  event(TlbLookup{.structure = "L1 ITLB 4K", .virtual_address = {kPc}, .hit = true, .set = 1, .way = 2});
  event(Check{.name = "cpl", .sentence = "CPL 0: no privilege needed", .verdict = CheckVerdict::Passed});
  event(Check{
      .name = "cpuid exits", .sentence = "CPUID exits unconditionally (VMX non-root)", .verdict = CheckVerdict::Exits});
  event(VmExit{.reason = 10, .name = "CPUID", .guest_pc = {kPc}, .instruction_length = 2});
  event(VmmAction{.name = "read leaf", .sentence = "read the leaf from the guest's EAX = {a}", .a = 1, .cost = 20},
        Actor::Vmm);
  event(VmmAction{.name = "hide VMX", .sentence = "clear ECX[5], set ECX[31] hypervisor present", .cost = 40},
        Actor::Vmm);
  event(VmEntry{.guest_pc = {kPc + 2}, .checks_passed = 12}, Actor::Vmm);
  return event(InstructionRetired{.pc = {kPc}, .next_pc = {kPc + 2}}, Actor::GuestKernel);
}

ViewBuilder& ViewBuilder::walk(unsigned guest_levels, unsigned nested_levels, bool faults) {
  static constexpr std::string_view kGuestNames[] = {"", "PTE", "PDE", "PDPTE", "PML4E"};
  static constexpr std::string_view kNestedNames[] = {"", "EPT PTE", "EPT PDE", "EPT PDPTE", "EPT PML4E"};
  event(WalkBegin{.virtual_address = {0x7f3a10204018},
                  .access = AccessKind::Read,
                  .guest_levels = static_cast<std::uint8_t>(guest_levels),
                  .nested_levels = static_cast<std::uint8_t>(nested_levels),
                  .root = 0x104000});
  std::uint8_t number = 0;
  const auto reference = [&](unsigned stage, unsigned guest, unsigned nested) {
    ++number;
    const ServedBy by = number % 5 == 3 ? ServedBy::Memory : number % 3 == 0 ? ServedBy::L1 : ServedBy::L2;
    event(WalkReference{.number = number,
                        .stage = static_cast<std::uint8_t>(stage),
                        .guest_level = static_cast<std::uint8_t>(guest),
                        .nested_level = static_cast<std::uint8_t>(nested),
                        .served_by = by,
                        .address = {0x7c4f18 + number * 0x1a88U},
                        .entry = 0x1234067,
                        .entry_name = stage == 1 ? kGuestNames[guest] : kNestedNames[nested],
                        .latency = by == ServedBy::Memory ? 180U : 12U});
  };
  for (unsigned guest = guest_levels; guest > 0; --guest) {
    for (unsigned nested = nested_levels; nested > 0; --nested) reference(2, guest, nested);
    reference(1, guest, 0);
  }
  for (unsigned nested = nested_levels; nested > 0; --nested) reference(2, 0, nested);
  return event(WalkEnd{.virtual_address = {0x7f3a10204018},
                       .physical_address = {faults ? 0 : 0x7b58018ULL},
                       .page_size = PageSize::Size4K,
                       .faulted = faults,
                       .references = number,
                       .skipped = 0,
                       .latency = 1412});
}

ViewBuilder& ViewBuilder::seesaw_load(bool tft_hit) {
  const VirtualAddress address{0x7f3a01218};
  event(TftLookup{.virtual_address = address, .index = 1, .hit = tft_hit});
  CacheLookup lookup{.cache = "L1D", .access = AccessKind::Read, .hit = true, .way = 6};
  lookup.ways_probed = tft_hit ? 4 : 8;
  lookup.ways_probed_mask = tft_hit ? 0xf0 : 0xff;
  lookup.set = 8;
  lookup.virtual_address = address;
  lookup.physical_address = {0x1401218};
  lookup.page_size = PageSize::Size2M;
  lookup.latency = tft_hit ? 1 : 2;
  lookup.energy = tft_hit ? 0.0285F : 0.047F;
  event(lookup);
  lookup.cache = "L1D VIPT";
  lookup.ways_probed = 8;
  lookup.ways_probed_mask = 0xff;
  lookup.latency = 2;
  lookup.energy = 0.047F;
  event(lookup);
  return event(MemoryAccess{.access = AccessKind::Read,
                            .size = 8,
                            .virtual_address = address,
                            .physical_address = {0x1401218},
                            .value = 42},
               Actor::GuestUser, 3);
}

ViewBuilder& ViewBuilder::trap() {
  view_->instruction = "cli";
  event(InstructionFetched{.pc = {kPc}, .physical_address = {kPc}, .length = 1}, Actor::GuestUser, 3);
  event(Check{.name = "iopl",
              .sentence = "CPL {actual} against IOPL {required}",
              .actual = 3,
              .required = 0,
              .verdict = CheckVerdict::Failed});
  event(TrapRaised{.name = "#GP", .has_error_code = true, .vector = 13, .pc = {kPc}}, Actor::Hardware, 3);
  return event(TrapDelivered{
      .name = "#GP", .vector = 13, .from_privilege = 3, .to_privilege = 0, .handler = {0x100800}, .stack = {0x109fb0}});
}

ViewBuilder& ViewBuilder::ended(StopReason reason) {
  view_->state = RunState::Ended;
  view_->stop = {reason, 1};
  return event(MachineStopped{.reason = reason, .code = 1});
}

ViewBuilder& ViewBuilder::running() {
  view_->state = RunState::Running;
  view_->events.clear();
  view_->entries.clear();
  return *this;
}

ViewBuilder& ViewBuilder::translations() {
  TlbView tlb{.name = "L1 ITLB 4K", .entries = 64, .ways = 4, .valid = {}};
  for (unsigned page = 0; page < 6; ++page) {
    TlbEntry entry;
    entry.page = {0x100000 + page * 0x1000ULL};
    entry.frame = {0x7a0000 + page * 0x1000ULL};
    entry.tag = {1, 1};
    entry.global = page % 2 == 0;
    tlb.valid.push_back({page % 16, 2, entry});
  }
  view_->tlbs = {tlb};
  WalkCacheEntry entry;
  entry.level = 2;
  entry.address_bits = 0x100000 >> walk_cache_shift(2);
  view_->walk_caches = {entry};
  view_->translation = {.tlb_lookups = 1200, .tlb_misses = 31};
  return *this;
}

ViewBuilder& ViewBuilder::timeline(unsigned steps) {
  const unsigned cpus = view_->cpu_count();
  auto timeline = std::make_shared<Timeline>(cpus);
  std::uint64_t cycle = 0;
  for (StepIndex step = 0; step < steps; ++step) {
    const bool exits = step % 97 == 96;
    const bool walks = step % 31 == 30;
    const bool misses = step % 13 == 12;
    const std::uint64_t vmm = exits ? 40 : 0;
    const std::uint64_t latency = walks ? 24 : misses ? 6 : 0;
    const std::uint64_t end = cycle + 1 + vmm + latency;
    timeline->record({.step = step,
                      .cpu = static_cast<unsigned>(step / 50 % cpus),
                      .actor = step / 150 % 3 == 0 ? Actor::GuestUser : Actor::GuestKernel,
                      .begin_cycle = cycle,
                      .end_cycle = end,
                      .vmm_cycles = vmm,
                      .walks = walks ? 1U : 0U,
                      .latency = latency,
                      .cache_misses = misses ? 1U : 0U});
    cycle = end;
  }
  view_->timeline = timeline;
  view_->position = steps / 2;
  view_->cycles = cycle / 2;
  return *this;
}

Moment ViewBuilder::moment() const {
  return {.machine = view_, .cursor = telling_event(view_->events), .detail = Detail::Main, .whole = true};
}

Moment ViewBuilder::at(std::size_t event) const {
  return {.machine = view_, .cursor = event, .detail = Detail::Main, .whole = false};
}

}  // namespace shearling::gui
