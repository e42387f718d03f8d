// SPDX-License-Identifier: GPL-3.0-or-later
#include "isa-x86/vmm/vtx_host.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "isa-x86/cpu/cpuid.h"
#include "isa-x86/vmm/guest_tables.h"
#include "isa-x86/vmm/memory_instruction.h"
#include "isa-x86/vmm/nested_memory.h"
#include "isa-x86/vmx/vmcs_fields.h"
#include "isa-x86/vmx/vmx_controls.h"

namespace shearling::x86 {
namespace {

using F = VmcsField;

enum GeneralRegister : unsigned { kRax, kRcx, kRdx, kRbx, kRsp, kRbp, kRsi, kRdi };

/// Everything the VMM does, with the name that cost files and lessons use.
struct Action {
  std::string_view name;
  std::string_view sentence;
};
namespace actions {
// setting up
constexpr Action kVmxOn{"vmx.on", "enters VMX operation (VMXON, region at {a})"};
constexpr Action kVmcsClear{"vmcs.clear", "clears the VMCS at {a} (VMCLEAR)"};
constexpr Action kVmcsLoad{"vmcs.load", "makes the VMCS at {a} current (VMPTRLD)"};
constexpr Action kVmcsControls{"vmcs.write-controls",
                               "writes the controls: pin-based and primary {a}, secondary {b} (VMWRITE)"};
constexpr Action kVmcsHost{"vmcs.write-host", "writes the host state: RIP {a}, CR3 {b} (VMWRITE)"};
constexpr Action kVmcsGuest{"vmcs.write-guest", "writes the guest state: RIP {a}, CR0 {b} (VMWRITE)"};
constexpr Action kBitmaps{"bitmaps.build", "builds the I/O bitmaps at {a} and the MSR bitmap at {b}"};
constexpr Action kEptRoot{"ept.create", "makes an empty EPT, root table at {a}, EPT pointer {b}"};
// every exit
constexpr Action kDispatch{"exit.dispatch", "reads exit reason {a} from the VMCS and finds its handler"};
constexpr Action kSkip{"instruction.skip", "moves the guest RIP from {a} to {b}, behind the instruction"};
constexpr Action kHideTime{"tsc.hide",
                           "sets the TSC offset to {a}, so that the guest does not see the VMM's {b} cycles"};
// emulation
constexpr Action kCpuid{"cpuid.emulate", "answers CPUID leaf {a}, subleaf {b}"};
constexpr Action kHalt{"vcpu.halt", "lets the virtual processor sleep in HLT until tick {a}"};
constexpr Action kCr0{"cr0.emulate", "sets the guest's CR0 to {a}; it reads {b}"};
constexpr Action kCr4{"cr4.emulate", "sets the guest's CR4 to {a}; it reads {b}"};
constexpr Action kCr3{"cr3.emulate", "sets the guest's CR3 to {a}"};
constexpr Action kCrRead{"cr.read", "gives the guest CR{a} = {b}"};
constexpr Action kTaskPriority{"tpr.emulate", "sets the virtual APIC's task priority from CR8 = {a}"};
constexpr Action kLongMode{"longmode.switch", "sets IA-32e mode guest to {a}: EFER is {b}"};
constexpr Action kMsrRead{"msr.read", "gives the guest MSR {a} = {b}"};
constexpr Action kMsrWrite{"msr.write", "sets the guest's MSR {a} to {b}"};
constexpr Action kDebugRegister{"dr.emulate", "emulates the access to DR{a}: {b}"};
constexpr Action kPortRead{"port.read", "reads port {a} of the back-end device: {b}"};
constexpr Action kPortWrite{"port.write", "writes {b} to port {a} of the back-end device"};
constexpr Action kTsc{"tsc.emulate", "gives the guest the time-stamp {a}"};
constexpr Action kHypercall{"hypercall.serve", "serves hypercall {a} with argument {b}"};
constexpr Action kNothing{"instruction.ignore", "does nothing for the instruction (exit reason {a})"};
constexpr Action kFlush{"tlb.flush", "invalidates the translations of VPID {a} (INVVPID)"};
// memory
constexpr Action kEptTable{"ept.table", "adds {a} tables to the EPT"};
constexpr Action kEptMap{"ept.map", "backs guest-physical {a} with the frame {b} and enters it into the EPT"};
constexpr Action kFetchInstruction{"instruction.fetch",
                                   "reads the guest's instruction at {a}, walking its page tables in software"};
constexpr Action kApicRead{"apic.read", "reads the virtual APIC at offset {a}: {b}"};
constexpr Action kApicWrite{"apic.write", "writes {b} to the virtual APIC at offset {a}"};
constexpr Action kDeviceRead{"mmio.read", "reads guest-physical {a}, where no RAM is: {b}"};
constexpr Action kDeviceWrite{"mmio.write", "writes {b} to guest-physical {a}, where no RAM is"};
// interrupts
constexpr Action kTimerArm{"timer.arm", "programs the physical timer to expire at tick {a}, as the virtual one does"};
constexpr Action kTimerStop{"timer.stop", "stops the physical timer"};
constexpr Action kAcknowledge{"interrupt.acknowledge",
                              "acknowledges the physical interrupt {a} and signals its end (EOI)"};
constexpr Action kInject{"interrupt.inject", "injects the virtual interrupt {a} at the next VM entry"};
constexpr Action kWindowOpen{"window.open", "asks for an exit as soon as the guest takes interrupts: vector {a} waits"};
constexpr Action kWindowClose{"window.close", "needs no interrupt window any more"};
constexpr Action kReinject{"event.reinject", "injects again the event whose delivery the exit broke off: vector {a}"};
constexpr Action kException{"exception.inject", "injects exception {a}, error code {b}"};
}  // namespace actions

constexpr std::uint64_t kHostCodeSelector = 8, kHostDataSelector = 16, kHostTaskSelector = 24;
/// Names for places in the VMM's own address space; nothing is ever fetched from there.
constexpr std::uint64_t kHostEntryPoint = 0xffff800000001000, kHostStack = 0xffff800000010000,
                        kHostTables = 0xffff800000020000;
constexpr std::uint64_t kHostCr0 = kCr0Pe | kCr0Et | kCr0Ne | kCr0Wp | kCr0Pg;
constexpr std::uint64_t kHostCr4 = kCr4Pae | kCr4Vmxe | kCr4Pge;
constexpr std::uint64_t kHostEfer = kEferLme | kEferLma | kEferNxe | kEferSce;
constexpr std::uint64_t kResetPat = 0x0007040600070406;

/// Control-register bits that the host owns; the guest reads them from the shadows.
constexpr std::uint64_t kCr0HostOwned = kCr0Pe | kCr0Ne | kCr0Nw | kCr0Cd | kCr0Pg;
constexpr std::uint64_t kCr4HostOwned = kCr4Pae | kCr4Vmxe;

constexpr std::uint16_t kVpid = 1;
constexpr std::uint8_t kPhysicalTimerVector = 0xef;
constexpr std::uint64_t kDivideByOne = 0xb;
constexpr std::uint64_t kLongestCount = 0xffffffff;
constexpr std::uint16_t kLessonMarkPort = 0xe9;
constexpr std::uint64_t kApicPage = LocalApic::kBase.value;
constexpr std::uint64_t kApicBaseValue = kApicPage | 1U << 11 | 1U << 8;  // Enabled, bootstrap processor.

/// MSRs that the guest reaches without an exit: they are switched with the VMCS, or nobody but the guest uses them.
struct PassedMsr {
  std::uint32_t msr;
  bool read, write;
};
constexpr std::array kPassedMsrs{PassedMsr{kMsrFsBase, true, true},       PassedMsr{kMsrGsBase, true, true},
                                 PassedMsr{kMsrKernelGsBase, true, true}, PassedMsr{kMsrStar, true, true},
                                 PassedMsr{kMsrLstar, true, true},        PassedMsr{kMsrCstar, true, true},
                                 PassedMsr{kMsrFmask, true, true},        PassedMsr{kMsrTscAux, true, true},
                                 PassedMsr{kMsrSysenterCs, true, true},   PassedMsr{kMsrSysenterEsp, true, true},
                                 PassedMsr{kMsrSysenterEip, true, true},  PassedMsr{kMsrPat, true, true},
                                 PassedMsr{kMsrEfer, true, false},        PassedMsr{kMsrTsc, true, false}};

struct StringPrefixes {
  unsigned segment = kDs;
  bool address_size = false;  ///< 0x67
};
StringPrefixes string_prefixes(std::span<const std::uint8_t> bytes) {
  static constexpr std::array<std::uint8_t, kSegmentCount> kOverrides{0x26, 0x2e, 0x36,
                                                                      0x3e, 0x64, 0x65};  // Encoding order.
  StringPrefixes prefixes;
  for (const std::uint8_t byte : bytes) {
    const auto found = std::find(kOverrides.begin(), kOverrides.end(), byte);
    if (found != kOverrides.end())
      prefixes.segment = static_cast<unsigned>(found - kOverrides.begin());
    else if (byte == 0x67)
      prefixes.address_size = true;
    else if (byte >= 0x6c && byte <= 0x6f)
      break;  // INS, OUTS
  }
  return prefixes;
}

class VtxHost : public Host {
 public:
  VtxHost(MachineContext context, SystemState& state, VmxUnit& vmx, Mmu& mmu, LocalApic& physical_apic)
      : context_(context),
        state_(state),
        vmx_(vmx),
        mmu_(mmu),
        physical_apic_(physical_apic),
        features_(context.config),
        virtual_apic_("virtual local APIC", context.time, context.events),
        nested_(context.memory, context.config),
        guest_tables_(vmx.vmcs(), nested_, context.memory) {}

  PhysicalAddress backing(GuestPhysicalAddress address) override { return nested_.backing(address); }
  [[nodiscard]] std::optional<PhysicalAddress> find_backing(GuestPhysicalAddress address) const override {
    return nested_.find_backing(address);
  }
  Status start() override;
  void handle_exit() override;
  void save(Writer& writer) const override {
    writer(nested_, tsc_adjust_, armed_for_);
    virtual_apic_.save(writer);
  }
  void load(Reader& reader) override {
    reader(nested_, tsc_adjust_, armed_for_);
    virtual_apic_.load(reader);
  }

 private:
  struct Handler {
    std::uint32_t reason;
    void (VtxHost::*handle)();
  };
  static const std::array<Handler, 36> kHandlers;

  void act(const Action& action, std::uint64_t a = 0, std::uint64_t b = 0);
  [[nodiscard]] Vmcs& vmcs() { return vmx_.vmcs(); }
  [[nodiscard]] std::uint64_t read(F field) const { return vmx_.vmcs().read(field); }
  void write(F field, std::uint64_t value) { vmx_.vmcs().write(field, value); }
  void set_bits(F field, std::uint64_t bits, bool on) { write(field, on ? read(field) | bits : read(field) & ~bits); }
  [[nodiscard]] std::uint64_t general(unsigned index) const;
  void set_general(unsigned index, std::uint64_t value);
  void set_general_low(unsigned index, unsigned size, std::uint64_t value);
  [[nodiscard]] bool guest_in_64_bit_mode() const;
  [[nodiscard]] unsigned guest_cpl() const { return (read(F::GuestSsAccessRights) >> 5) & 3; }
  [[nodiscard]] std::uint64_t qualification() const { return read(F::ExitQualification); }

  // Setting up.
  void build_bitmaps();
  void write_controls();
  void write_host_state();
  void write_guest_state();
  void start_physical_timer();

  // Ways to end a handler.
  void skip_instruction();
  void inject_exception(std::uint8_t vector, std::optional<std::uint32_t> error_code = std::nullopt);
  void inject_page_fault(const PageFault& fault);
  /// `why` is static text, for the action's sentence; {a} is the exit reason.
  void give_up(StopReason reason, std::string_view why);
  void resume();
  void inject_or_wait();
  void follow_virtual_timer();
  void flush_guest_translations();

  // Handlers, by exit reason.
  void on_exception();
  void on_external_interrupt();
  void on_interrupt_window();
  void on_triple_fault() {
    give_up(StopReason::TripleFault,
            "gives the virtual machine up: a triple fault, after which only a reset would help");
  }
  void on_cpuid();
  void on_hlt();
  void on_invlpg();
  void on_ignored();
  void on_rdtsc();
  void on_vmcall();
  void on_undefined() { inject_exception(kInvalidOpcode); }
  void on_protected() { inject_exception(kGeneralProtection, 0); }
  void on_cr_access();
  void on_dr_access();
  void on_port_io();
  void on_rdmsr();
  void on_wrmsr();
  void on_ept_violation();
  void on_ept_misconfiguration() {
    give_up(StopReason::Unsupported, "gives the virtual machine up: its EPT holds a malformed entry");
  }

  bool write_cr0(std::uint64_t value);
  bool write_cr4(std::uint64_t value);
  bool write_efer(std::uint64_t value);
  void read_cr(unsigned cr, unsigned gpr);
  bool write_cr(unsigned cr, std::uint64_t value);
  [[nodiscard]] std::optional<std::uint64_t> emulated_msr(std::uint32_t msr) const;
  void forward_port(std::uint16_t port, unsigned size, bool input, std::uint64_t& value);
  void string_port_io(std::uint16_t port, unsigned size, bool input, bool repeated);
  using OperandPlaces = std::array<PhysicalAddress, 8>;
  std::optional<OperandPlaces> reach_operand(VirtualAddress address, unsigned size, AccessKind kind);
  [[nodiscard]] std::uint64_t load_operand(const OperandPlaces& places, unsigned size) const;
  void store_operand(const OperandPlaces& places, unsigned size, std::uint64_t value);
  [[nodiscard]] VirtualAddress instruction_address() const {
    return {read(F::GuestRip) + (guest_in_64_bit_mode() ? 0 : read(F::GuestCsBase))};
  }
  void answer_bus_fault();
  void emulate_device_access(GuestPhysicalAddress address);
  std::uint64_t device_read(GuestPhysicalAddress address, unsigned size);
  void device_write(GuestPhysicalAddress address, unsigned size, std::uint64_t value);
  std::vector<std::uint8_t> fetch_guest_instruction(VirtualAddress address);

  MachineContext context_;
  SystemState& state_;
  VmxUnit& vmx_;
  Mmu& mmu_;
  LocalApic& physical_apic_;
  CpuFeatures features_;
  LocalApic virtual_apic_;
  NestedMemory nested_;
  GuestTables guest_tables_;
  std::uint64_t tsc_adjust_ = 0;            ///< What the guest added to its time by writing the TSC.
  std::optional<std::uint64_t> armed_for_;  ///< Virtual expiry that the physical timer is programmed for.

  bool at_boundary_ = false;  ///< Of this exit: the guest stands between two instructions.
};

const std::array<VtxHost::Handler, 36> VtxHost::kHandlers{{
    {kExitExceptionOrNmi, &VtxHost::on_exception},
    {kExitExternalInterrupt, &VtxHost::on_external_interrupt},
    {kExitTripleFault, &VtxHost::on_triple_fault},
    {kExitInterruptWindow, &VtxHost::on_interrupt_window},
    {kExitCpuid, &VtxHost::on_cpuid},
    {kExitHlt, &VtxHost::on_hlt},
    {kExitInvd, &VtxHost::on_ignored},
    {kExitInvlpg, &VtxHost::on_invlpg},
    {kExitRdpmc, &VtxHost::on_protected},
    {kExitRdtsc, &VtxHost::on_rdtsc},
    {kExitVmcall, &VtxHost::on_vmcall},
    {kExitCrAccess, &VtxHost::on_cr_access},
    {kExitDrAccess, &VtxHost::on_dr_access},
    {kExitIo, &VtxHost::on_port_io},
    {kExitRdmsr, &VtxHost::on_rdmsr},
    {kExitWrmsr, &VtxHost::on_wrmsr},
    {kExitMwait, &VtxHost::on_undefined},
    {kExitMonitor, &VtxHost::on_undefined},
    {kExitPause, &VtxHost::on_ignored},
    {kExitEptViolation, &VtxHost::on_ept_violation},
    {kExitEptMisconfiguration, &VtxHost::on_ept_misconfiguration},
    {kExitRdtscp, &VtxHost::on_rdtsc},
    {kExitWbinvd, &VtxHost::on_ignored},
    {kExitXsetbv, &VtxHost::on_protected},
    {kExitInvpcid, &VtxHost::on_invlpg},
    {kExitVmclear, &VtxHost::on_undefined},
    {kExitVmlaunch, &VtxHost::on_undefined},
    {kExitVmptrld, &VtxHost::on_undefined},
    {kExitVmptrst, &VtxHost::on_undefined},
    {kExitVmread, &VtxHost::on_undefined},
    {kExitVmresume, &VtxHost::on_undefined},
    {kExitVmwrite, &VtxHost::on_undefined},
    {kExitVmxoff, &VtxHost::on_undefined},
    {kExitVmxon, &VtxHost::on_undefined},
    {kExitInvept, &VtxHost::on_undefined},
    {kExitInvvpid, &VtxHost::on_undefined},
}};

// --- small tools -----------------------------------------------------------------------------------------------------

void VtxHost::act(const Action& action, std::uint64_t a, std::uint64_t b) {
  const std::uint32_t cost = context_.config.costs.cost_of(action.name);
  context_.events.notable(VmmAction{.name = action.name, .sentence = action.sentence, .a = a, .b = b, .cost = cost},
                          cost);
  context_.time.vmm_cycles += cost;
}

/// The exit left the guest's general registers where they were, but for RSP.
std::uint64_t VtxHost::general(unsigned index) const {
  return index == kRsp ? read(F::GuestRsp) : context_.engine.read(integer_register(index));
}

void VtxHost::set_general(unsigned index, std::uint64_t value) {
  if (index == kRsp)
    write(F::GuestRsp, value);
  else
    context_.engine.write(integer_register(index), value);
}

void VtxHost::set_general_low(unsigned index, unsigned size, std::uint64_t value) {
  const std::uint64_t mask = size >= 4 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * size)) - 1;
  const std::uint64_t kept = size >= 4 ? 0 : general(index) & ~mask;
  set_general(index, kept | (value & (size == 4 ? 0xffffffff : mask)));
}

bool VtxHost::guest_in_64_bit_mode() const {
  return (read(F::GuestEfer) & kEferLma) != 0 && (read(F::GuestCsAccessRights) & (1U << 13)) != 0;
}

void VtxHost::skip_instruction() {
  const std::uint64_t from = read(F::GuestRip);
  const std::uint64_t next = from + read(F::ExitInstructionLength);
  const std::uint64_t to = guest_in_64_bit_mode() ? next : next & 0xffffffff;
  act(actions::kSkip, from, to);
  write(F::GuestRip, to);
  set_bits(F::GuestInterruptibility, kBlockingBySti | kBlockingByMovSs, false);
  const bool single_step = (read(F::GuestRflags) & kFlagTf) != 0;
  set_bits(F::GuestRflags, kFlagRf, false);
  if (!single_step) return;
  constexpr std::uint64_t kSingleStep = 1U << 14;  // DR6.BS: not in the VMCS either.
  state_.debug[6] |= kSingleStep;
  inject_exception(kDebugException);
}

/// An exception that arises while another one is delivered becomes a double fault or worse (SDM table 6-5).
void VtxHost::inject_exception(std::uint8_t vector, std::optional<std::uint32_t> error_code) {
  const std::uint64_t vectoring = read(F::IdtVectoringInformation);
  const bool over_exception = (vectoring & kInterruptionValid) != 0 &&
                              ((vectoring >> 8) & 7) == static_cast<unsigned>(EventKind::HardwareException);
  const auto first = static_cast<std::uint8_t>(vectoring);
  const auto contributory = [](std::uint8_t number) {
    return number == kDivideError || (number >= kInvalidTss && number <= kGeneralProtection);
  };
  if (over_exception && (contributory(vector) || vector == kPageFault)) {
    if (first == kDoubleFault) {
      give_up(StopReason::TripleFault,
              "gives the virtual machine up: an exception on the way to the double-fault handler");
      return;
    }
    if (first == kPageFault || (contributory(first) && contributory(vector))) {
      vector = kDoubleFault;
      error_code = 0;
    }
  }
  act(actions::kException, vector, error_code.value_or(0));
  write(F::EntryInterruptionInformation, vector | static_cast<std::uint32_t>(EventKind::HardwareException) << 8 |
                                             (error_code ? kInterruptionErrorCodeValid : 0) | kInterruptionValid);
  write(F::EntryExceptionErrorCode, error_code.value_or(0));
}

void VtxHost::inject_page_fault(const PageFault& fault) {
  state_.cr2 = fault.address.value;  // CR2 is not in the VMCS: the host loads the guest's.
  inject_exception(kPageFault, fault.error_code);
}

/// The guest cannot go on. It is entered once more in shutdown state, which only a reset would end: so its registers
/// are where every view looks for them.
void VtxHost::give_up(StopReason reason, std::string_view why) {
  act({"vm.stop", why}, read(F::ExitReason));
  write(F::GuestActivityState, static_cast<std::uint64_t>(ActivityState::Shutdown));
  set_bits(F::GuestInterruptibility, kBlockingBySti | kBlockingByMovSs, false);
  context_.request.stop = reason;
}

void VtxHost::flush_guest_translations() {
  if (!context_.config.vmm.vpid) return;  // The next VM entry flushes everything.
  act(actions::kFlush, read(F::VirtualProcessorIdentifier));
  mmu_.invvpid_all(static_cast<std::uint16_t>(read(F::VirtualProcessorIdentifier)));
}

// --- setting up ------------------------------------------------------------------------------------------------------

Status VtxHost::start() {
  const ActorScope scope(context_.events, Actor::Vmm, 0);
  act(actions::kVmxOn, nested_.allocate_frame().value);
  const PhysicalAddress region = nested_.allocate_frame();
  act(actions::kVmcsClear, region.value);
  act(actions::kVmcsLoad, region.value);
  build_bitmaps();
  write_controls();
  write_host_state();
  write_guest_state();
  start_physical_timer();
  resume();
  return Done{};
}

void VtxHost::build_bitmaps() {
  const PhysicalAddress io_a = nested_.allocate_frame(), io_b = nested_.allocate_frame(),
                        msrs = nested_.allocate_frame();
  const std::vector<std::uint8_t> ones(kFrameBytes, 0xff);
  for (const PhysicalAddress bitmap : {io_a, io_b, msrs}) context_.memory.write_bytes(bitmap, ones);
  const auto clear_bit = [&](PhysicalAddress bitmap, std::uint32_t bit) {
    const PhysicalAddress byte{bitmap.value + bit / 8};
    context_.memory.write(byte, 1, context_.memory.read(byte, 1) & ~(1U << (bit % 8)));
  };
  // A lesson's marks are the lesson's, not the machine's: they must not cost an exit.
  for (std::uint32_t port = kLessonMarkPort; port < kLessonMarkPort + 4U; ++port) clear_bit(io_a, port);
  for (const PassedMsr& passed : kPassedMsrs) {
    const bool high = passed.msr >= 0xc0000000;
    const std::uint32_t bit = (passed.msr & 0x1fff) + (high ? 8U * 1024 : 0);
    if (passed.read) clear_bit(msrs, bit);
    if (passed.write) clear_bit(msrs, bit + 8U * 2048);
  }
  write(F::IoBitmapA, io_a.value);
  write(F::IoBitmapB, io_b.value);
  write(F::MsrBitmaps, msrs.value);
  act(actions::kBitmaps, io_a.value, msrs.value);
}

void VtxHost::write_controls() {
  const VmmConfig& vmm = context_.config.vmm;
  const std::uint64_t eptp =
      nested_.root().value | kEptpWriteBack | kEptpFourLevels | (vmm.nested_accessed_dirty ? kEptpAccessedDirty : 0);
  act(actions::kEptRoot, nested_.root().value, eptp);
  write(F::EptPointer, eptp);
  write(F::PinBasedControls, kPinCapability.required | kPinExternalInterruptExiting | kPinNmiExiting);
  write(F::PrimaryControls, kPrimaryCapability.required | kPrimaryUseTscOffsetting | kPrimaryHltExiting |
                                kPrimaryMwaitExiting | kPrimaryMonitorExiting | kPrimaryRdpmcExiting |
                                kPrimaryCr8LoadExiting | kPrimaryCr8StoreExiting | kPrimaryUseIoBitmaps |
                                kPrimaryUseMsrBitmaps | kPrimaryActivateSecondary);
  // An unrestricted guest: it begins in protected mode without paging.
  write(F::SecondaryControls, kSecondaryEnableEpt | kSecondaryUnrestrictedGuest |
                                  (vmm.vpid ? kSecondaryEnableVpid : 0) |
                                  (features_.has(Feature::Rdtscp) ? kSecondaryEnableRdtscp : 0) |
                                  (features_.has(Feature::Invpcid) ? kSecondaryEnableInvpcid : 0));
  write(F::VirtualProcessorIdentifier, vmm.vpid ? kVpid : 0);
  write(F::ExitControls, kExitCapability.required | kExitSaveDebugControls | kExitHostAddressSpaceSize | kExitSavePat |
                             kExitLoadPat | kExitSaveEfer | kExitLoadEfer);
  write(F::EntryControls, kEntryCapability.required | kEntryLoadDebugControls | kEntryLoadPat | kEntryLoadEfer);
  write(F::Cr0GuestHostMask, kCr0HostOwned);
  write(F::Cr4GuestHostMask, kCr4HostOwned);
  write(F::VmcsLinkPointer, ~std::uint64_t{0});
  act(actions::kVmcsControls, read(F::PinBasedControls) << 32 | read(F::PrimaryControls), read(F::SecondaryControls));
}

void VtxHost::write_host_state() {
  // The host's own address space: the first 4 GB, mapped onto themselves with 1 GB pages.
  const PhysicalAddress top = nested_.allocate_frame(), next = nested_.allocate_frame();
  constexpr std::uint64_t kPresentWritable = 3, kLargePage = 0x80;
  context_.memory.write(top, 8, next.value | kPresentWritable);
  for (std::uint64_t gigabyte = 0; gigabyte < 4; ++gigabyte)
    context_.memory.write({next.value + 8 * gigabyte}, 8, gigabyte << 30 | kPresentWritable | kLargePage);
  const std::pair<F, std::uint64_t> fields[] = {{F::HostCr0, kHostCr0},
                                                {F::HostCr3, top.value},
                                                {F::HostCr4, kHostCr4},
                                                {F::HostEfer, kHostEfer},
                                                {F::HostPat, kResetPat},
                                                {F::HostCsSelector, kHostCodeSelector},
                                                {F::HostSsSelector, kHostDataSelector},
                                                {F::HostDsSelector, kHostDataSelector},
                                                {F::HostEsSelector, kHostDataSelector},
                                                {F::HostTrSelector, kHostTaskSelector},
                                                {F::HostTrBase, kHostTables},
                                                {F::HostGdtrBase, kHostTables + 0x1000},
                                                {F::HostIdtrBase, kHostTables + 0x2000},
                                                {F::HostRsp, kHostStack},
                                                {F::HostRip, kHostEntryPoint}};
  for (const auto& [field, value] : fields) write(field, value);
  act(actions::kVmcsHost, kHostEntryPoint, top.value);
}

void VtxHost::write_guest_state() {
  vmx_.save_guest_state();
  write(F::Cr0ReadShadow, state_.cr0);
  write(F::Cr4ReadShadow, state_.cr4);
  write(F::GuestCr0, state_.cr0 | kCr0Ne);  // VMX operation requires it; the guest reads the shadow.
  write(F::GuestCr4, state_.cr4 | kCr4Vmxe);
  act(actions::kVmcsGuest, read(F::GuestRip), read(F::GuestCr0));
}

void VtxHost::start_physical_timer() {
  physical_apic_.write(kApicSpurious, 4, kApicSoftwareEnable | 0xff);
  physical_apic_.write(kApicDivide, 4, kDivideByOne);
  physical_apic_.write(kApicLvtTimer, 4, kPhysicalTimerVector);
}

// --- exits -----------------------------------------------------------------------------------------------------------

void VtxHost::handle_exit() {
  const ActorScope scope(context_.events, Actor::Vmm, 0);
  at_boundary_ = false;
  const auto reason = static_cast<std::uint32_t>(read(F::ExitReason)) & 0xffff;
  act(actions::kDispatch, reason);
  const auto handler =
      std::find_if(kHandlers.begin(), kHandlers.end(), [&](const Handler& row) { return row.reason == reason; });
  if (handler != kHandlers.end())
    (this->*handler->handle)();
  else
    give_up(StopReason::Unsupported, "gives the virtual machine up: it has no handler for exit reason {a}");
  // The exit port ends the machine after its OUT; the other stops leave the guest at its last instruction.
  resume();
}

void VtxHost::resume() {
  const bool stopping = context_.request.stop != StopReason::None && context_.request.stop != StopReason::ExitPort;
  if (stopping) {
    write(F::EntryInterruptionInformation, 0);
  } else {
    inject_or_wait();
    follow_virtual_timer();
  }
  const std::uint64_t hidden = context_.time.vmm_cycles + context_.config.costs.cost_of(actions::kHideTime.name) +
                               context_.config.costs.cost_of("vm.entry");
  write(F::TscOffset, tsc_adjust_ - hidden);
  act(actions::kHideTime, read(F::TscOffset), hidden);
  state_.cr8 = virtual_apic_.task_priority();  // What the guest takes for CR8; no control makes it real.
  const VmxUnit::EntryOutcome outcome = vmx_.enter();
  if (!outcome.entered) {
    context_.request.stop = StopReason::Unsupported;
    return;
  }
  mmu_.world_switched();
}

/// An event whose delivery broke off comes first, then an exception that the handler raised, then interrupts. Those are
/// injected only where the guest stands between two instructions whose step has not begun (external interrupt,
/// interrupt window): elsewhere the window gives the exit at the next one. So the guest takes each interrupt before the
/// same instruction as without a VMM.
void VtxHost::inject_or_wait() {
  const std::uint64_t vectoring = read(F::IdtVectoringInformation);
  const bool exception_ready = (read(F::EntryInterruptionInformation) & kInterruptionValid) != 0;
  const auto waiting = virtual_apic_.pending_vector();
  if ((vectoring & kInterruptionValid) != 0 && !exception_ready) {
    act(actions::kReinject, vectoring & 0xff);
    write(F::EntryInterruptionInformation, vectoring);
    write(F::EntryExceptionErrorCode, read(F::IdtVectoringErrorCode));
    write(F::EntryInstructionLength, read(F::ExitInstructionLength));
  } else if (!exception_ready && waiting && at_boundary_ && (read(F::GuestRflags) & kFlagIf) != 0 &&
             (read(F::GuestInterruptibility) & (kBlockingBySti | kBlockingByMovSs)) == 0) {
    act(actions::kInject, *waiting);
    virtual_apic_.acknowledge(*waiting);
    write(F::EntryInterruptionInformation,
          *waiting | static_cast<std::uint32_t>(EventKind::ExternalInterrupt) << 8 | kInterruptionValid);
  }
  const auto still_waiting = virtual_apic_.pending_vector();
  const bool window = (read(F::PrimaryControls) & kPrimaryInterruptWindowExiting) != 0;
  if (still_waiting.has_value() == window) return;
  act(still_waiting ? actions::kWindowOpen : actions::kWindowClose, still_waiting.value_or(0));
  set_bits(F::PrimaryControls, kPrimaryInterruptWindowExiting, still_waiting.has_value());
}

void VtxHost::follow_virtual_timer() {
  // Nothing wakes a guest that sleeps with interrupts off.
  const bool for_ever = read(F::GuestActivityState) == static_cast<std::uint64_t>(ActivityState::Halted) &&
                        (read(F::GuestRflags) & kFlagIf) == 0;
  const std::optional<std::uint64_t> expiry = for_ever ? std::nullopt : virtual_apic_.next_expiry();
  if (expiry == armed_for_) return;
  armed_for_ = expiry;
  if (!expiry) {
    act(actions::kTimerStop);
    physical_apic_.write(kApicInitialCount, 4, 0);
    return;
  }
  const std::uint64_t now = context_.time.guest_ticks();
  const std::uint64_t count = *expiry > now ? std::min(*expiry - now, kLongestCount) : 1;
  act(actions::kTimerArm, now + count);
  physical_apic_.write(kApicInitialCount, 4, count);
}

void VtxHost::on_external_interrupt() {
  at_boundary_ = true;
  physical_apic_.advance();
  if (const auto vector = physical_apic_.pending_vector()) {
    physical_apic_.acknowledge(*vector);
    act(actions::kAcknowledge, *vector);
  }
  physical_apic_.write(kApicEoi, 4, 0);
  armed_for_.reset();
  virtual_apic_.advance();
  if (virtual_apic_.pending_vector() && (read(F::GuestRflags) & kFlagIf) != 0)
    write(F::GuestActivityState, static_cast<std::uint64_t>(ActivityState::Active));
}

void VtxHost::on_interrupt_window() { at_boundary_ = true; }

/// An exception that the exception bitmap caught goes to the guest after all.
void VtxHost::on_exception() {
  const std::uint64_t information = read(F::ExitInterruptionInformation);
  if ((information & 0xff) == kPageFault) state_.cr2 = qualification();
  act(actions::kException, information & 0xff, read(F::ExitInterruptionErrorCode));
  write(F::EntryInterruptionInformation, information);
  write(F::EntryExceptionErrorCode, read(F::ExitInterruptionErrorCode));
  write(F::EntryInstructionLength, read(F::ExitInstructionLength));
}

// --- simple instructions ---------------------------------------------------------------------------------------------

void VtxHost::on_cpuid() {
  const auto leaf = static_cast<std::uint32_t>(general(kRax)), subleaf = static_cast<std::uint32_t>(general(kRcx));
  act(actions::kCpuid, leaf, subleaf);
  CpuidResult result = cpuid(features_, leaf, subleaf);
  constexpr std::uint32_t kVmxBit = 1U << 5, kHypervisorBit = 1U << 31;
  if (leaf == 1) result.ecx = (result.ecx & ~kVmxBit) | kHypervisorBit;
  if (leaf == kHypervisorLeaf) {
    constexpr std::array<char, 13> kVendor{"ShearlingVMM"};
    result.eax = kHypervisorInterfaceLeaf;
    std::memcpy(&result.ebx, kVendor.data(), 4);
    std::memcpy(&result.ecx, kVendor.data() + 4, 4);
    std::memcpy(&result.edx, kVendor.data() + 8, 4);
  }
  if (leaf == kHypervisorInterfaceLeaf) result.eax = kHypercallVersion;
  set_general(kRax, result.eax);
  set_general(kRbx, result.ebx);
  set_general(kRcx, result.ecx);
  set_general(kRdx, result.edx);
  skip_instruction();
}

void VtxHost::on_hlt() {
  skip_instruction();
  const bool interruptible = (read(F::GuestRflags) & kFlagIf) != 0;
  if (interruptible && virtual_apic_.pending_vector()) return;  // It wakes at once, through the interrupt window.
  const auto wake = virtual_apic_.next_expiry();
  act(actions::kHalt, wake.value_or(0));
  write(F::GuestActivityState, static_cast<std::uint64_t>(ActivityState::Halted));
}

void VtxHost::on_invlpg() {
  flush_guest_translations();
  skip_instruction();
}

void VtxHost::on_ignored() {
  act(actions::kNothing, read(F::ExitReason));
  skip_instruction();
}

void VtxHost::on_rdtsc() {
  const std::uint64_t stamp = context_.time.guest_ticks() + tsc_adjust_;
  act(actions::kTsc, stamp);
  set_general(kRax, stamp & 0xffffffff);
  set_general(kRdx, stamp >> 32);
  if (read(F::ExitReason) == kExitRdtscp) {
    const auto found = state_.msrs.find(kMsrTscAux);
    set_general(kRcx, found == state_.msrs.end() ? 0 : found->second & 0xffffffff);
  }
  skip_instruction();
}

void VtxHost::on_vmcall() {
  const std::uint64_t number = general(kRax), argument = general(kRbx);
  act(actions::kHypercall, number, argument);
  std::uint64_t result = ~std::uint64_t{0};
  if (guest_cpl() == 0) {
    switch (static_cast<HypercallNumber>(number)) {
      case HypercallNumber::Version:
        result = kHypercallVersion;
        break;
      case HypercallNumber::PrintCharacter:
        context_.devices.port_write(0x3f8, 1, argument & 0xff);
        result = 0;
        break;
      case HypercallNumber::CyclesInVmm:
        result = context_.time.vmm_cycles;
        break;
    }
  }
  context_.events.notable(Hypercall{.number = number, .argument = argument, .result = result});
  set_general(kRax, result);
  skip_instruction();
}

// --- control registers -----------------------------------------------------------------------------------------------

void VtxHost::on_cr_access() {
  const unsigned cr = qualification() & 15, type = (qualification() >> 4) & 3, gpr = (qualification() >> 8) & 15;
  const std::uint64_t cr0 = vmx_.vmcs().read(F::GuestCr0);
  const std::uint64_t visible_cr0 = (cr0 & ~kCr0HostOwned) | (read(F::Cr0ReadShadow) & kCr0HostOwned);
  bool legal = true;
  switch (type) {
    case 0:
      legal = write_cr(cr, guest_in_64_bit_mode() ? general(gpr) : general(gpr) & 0xffffffff);
      break;
    case 1:
      read_cr(cr, gpr);
      break;
    case 2:
      legal = write_cr0(visible_cr0 & ~kCr0Ts);
      break;
    default:
      legal = write_cr0((visible_cr0 & ~std::uint64_t{0xe}) | ((qualification() >> 16) & 0xf));
      break;  // LMSW sets PE at most.
  }
  if (legal)
    skip_instruction();
  else
    inject_exception(kGeneralProtection, 0);
}

void VtxHost::read_cr(unsigned cr, unsigned gpr) {
  const std::uint64_t value = cr == 8 ? virtual_apic_.task_priority() : read(F::GuestCr3);
  act(actions::kCrRead, cr, value);
  set_general(gpr, guest_in_64_bit_mode() ? value : value & 0xffffffff);
}

bool VtxHost::write_cr(unsigned cr, std::uint64_t value) {
  switch (cr) {
    case 0:
      return write_cr0(value);
    case 4:
      return write_cr4(value);
    case 8:
      if (value > 15) return false;
      act(actions::kTaskPriority, value);
      virtual_apic_.set_task_priority(value);
      return true;
    default: {
      constexpr std::uint64_t kKeepTranslations = 1ULL << 63;
      const bool pcids = (read(F::GuestCr4) & kCr4Pcide) != 0;
      if ((value & ~kPhysicalAddressMask & ~(pcids ? kKeepTranslations : 0)) != 0) return false;
      act(actions::kCr3, value);
      write(F::GuestCr3, value & ~kKeepTranslations);
      if (!pcids || (value & kKeepTranslations) == 0) flush_guest_translations();
      return true;
    }
  }
}

/// The checks of MOV CR0 (SDM volume 2, MOV to control registers), the switch of long mode with them.
bool VtxHost::write_cr0(std::uint64_t value) {
  const std::uint64_t before = read(F::GuestCr0);
  const bool paging = (value & kCr0Pg) != 0, paged = (before & kCr0Pg) != 0,
             enables_long_mode = (read(F::GuestEfer) & kEferLme) != 0;
  const bool code_is_64_bit = (read(F::GuestCsAccessRights) & (1U << 13)) != 0;
  constexpr std::uint64_t kDefined =
      kCr0Pe | kCr0Mp | kCr0Em | kCr0Ts | kCr0Et | kCr0Ne | kCr0Wp | kCr0Am | kCr0Nw | kCr0Cd | kCr0Pg;
  if (value >> 32 != 0 || (paging && (value & kCr0Pe) == 0) || ((value & kCr0Nw) != 0 && (value & kCr0Cd) == 0))
    return false;
  if (paging && !paged && enables_long_mode && ((read(F::GuestCr4) & kCr4Pae) == 0 || code_is_64_bit)) return false;
  if (!paging && paged && (guest_in_64_bit_mode() || (read(F::GuestCr4) & kCr4Pcide) != 0)) return false;

  const std::uint64_t visible = (value & kDefined) | kCr0Et;
  write(F::GuestCr0, visible | kCr0Ne);
  write(F::Cr0ReadShadow, visible);
  act(actions::kCr0, read(F::GuestCr0), visible);
  if (paging != paged && enables_long_mode) {
    set_bits(F::GuestEfer, kEferLma, paging);
    set_bits(F::EntryControls, kEntryIa32eModeGuest, paging);
    act(actions::kLongMode, paging, read(F::GuestEfer));
  }
  if (paging != paged) flush_guest_translations();
  return true;
}

bool VtxHost::write_cr4(std::uint64_t value) {
  const std::uint64_t before = read(F::GuestCr4);
  const bool long_mode = (read(F::GuestEfer) & kEferLma) != 0;
  if ((value & ~features_.cr4_valid()) != 0) return false;  // VMXE among them: the guest has no VMX.
  if (long_mode && (value & kCr4Pae) == 0) return false;
  const bool turns_pcids_on = (value & ~before & kCr4Pcide) != 0;
  if (turns_pcids_on && (!long_mode || (read(F::GuestCr3) & 0xfff) != 0)) return false;
  write(F::GuestCr4, value | kCr4Vmxe);
  write(F::Cr4ReadShadow, value);
  act(actions::kCr4, read(F::GuestCr4), value);
  if (((before ^ value) & (kCr4Pge | kCr4Pae | kCr4Pse | kCr4Pcide | kCr4Smep)) != 0) flush_guest_translations();
  return true;
}

void VtxHost::on_dr_access() {
  const unsigned number = qualification() & 7, gpr = (qualification() >> 8) & 15;
  const bool from_register = (qualification() >> 4 & 1) != 0;
  const auto value_of = [&]() { return number == 7 ? read(F::GuestDr7) : state_.debug[number]; };
  const std::uint64_t given = general(gpr);
  if (!from_register && number >= 6 && given >> 32 != 0) {
    inject_exception(kGeneralProtection, 0);
    return;
  }
  if (from_register)
    set_general(gpr, value_of());
  else if (number == 7)
    write(F::GuestDr7, (given & 0xffff2fff) | 0x400);
  else
    state_.debug[number] = number == 6 ? (given & 0xe00f) | 0xffff0ff0 : given;
  act(actions::kDebugRegister, number, value_of());
  skip_instruction();
}

// --- MSRs ------------------------------------------------------------------------------------------------------------

std::optional<std::uint64_t> VtxHost::emulated_msr(std::uint32_t msr) const {
  if (msr == kMsrApicBase) return kApicBaseValue;
  if (msr == kMsrEfer) return read(F::GuestEfer);
  if (msr == kMsrTsc) return context_.time.guest_ticks() + tsc_adjust_;
  return std::nullopt;
}

void VtxHost::on_rdmsr() {
  const auto msr = static_cast<std::uint32_t>(general(kRcx));
  const std::optional<std::uint64_t> value = emulated_msr(msr);
  if (!value) {
    inject_exception(kGeneralProtection, 0);
    return;
  }
  act(actions::kMsrRead, msr, *value);
  set_general(kRax, *value & 0xffffffff);
  set_general(kRdx, *value >> 32);
  skip_instruction();
}

void VtxHost::on_wrmsr() {
  const auto msr = static_cast<std::uint32_t>(general(kRcx));
  const std::uint64_t value = (general(kRax) & 0xffffffff) | general(kRdx) << 32;
  bool legal = false;
  if (msr == kMsrEfer) legal = write_efer(value);
  if (msr == kMsrApicBase) {
    legal = (value & ~(kPhysicalAddressMask & ~std::uint64_t{0xfff}) & ~std::uint64_t{0x900}) == 0;
    if (legal && value != kApicBaseValue) {  // The virtual APIC stays where it is, and on.
      give_up(StopReason::Unsupported,
              "gives the virtual machine up: the guest would move its local APIC, or turn it off");
      return;
    }
  }
  if (msr == kMsrTsc) {
    tsc_adjust_ = value - context_.time.guest_ticks();
    legal = true;
  }
  if (!legal) {
    inject_exception(kGeneralProtection, 0);
    return;
  }
  act(actions::kMsrWrite, msr, value);
  skip_instruction();
}

bool VtxHost::write_efer(std::uint64_t value) {
  const std::uint64_t before = read(F::GuestEfer);
  if ((value & ~features_.efer_valid()) != 0) return false;
  if ((read(F::GuestCr0) & kCr0Pg) != 0 && ((value ^ before) & kEferLme) != 0) return false;
  const std::uint64_t after = (value & ~kEferLma) | (before & kEferLma);
  write(F::GuestEfer, after);
  if (((before ^ after) & kEferNxe) != 0) flush_guest_translations();
  return true;
}

// --- ports -----------------------------------------------------------------------------------------------------------

void VtxHost::on_port_io() {
  const std::uint64_t fields = qualification();
  const unsigned size = (fields & 7) + 1;
  const bool input = (fields >> 3 & 1) != 0, string = (fields >> 4 & 1) != 0, repeated = (fields >> 5 & 1) != 0;
  const auto port = static_cast<std::uint16_t>(fields >> 16);
  if (string) {
    string_port_io(port, size, input, repeated);
    return;
  }
  std::uint64_t value = general(kRax);
  forward_port(port, size, input, value);
  if (input) set_general_low(kRax, size, value);
  skip_instruction();
}

void VtxHost::forward_port(std::uint16_t port, unsigned size, bool input, std::uint64_t& value) {
  value &= size == 4 ? 0xffffffff : (std::uint64_t{1} << (8 * size)) - 1;
  if (input)
    value = context_.devices.port_read(port, size);
  else
    context_.devices.port_write(port, size, value);
  act(input ? actions::kPortRead : actions::kPortWrite, port, value);
}

/// As many iterations an exit as the processor does in one step. The exit tells neither segment nor address size: they
/// are in the instruction's prefixes.
void VtxHost::string_port_io(std::uint16_t port, unsigned size, bool input, bool repeated) {
  constexpr std::uint64_t kMostIterations = 4096;
  const bool long_mode = guest_in_64_bit_mode();
  StringPrefixes prefixes = string_prefixes(fetch_guest_instruction(instruction_address()));
  if (input) prefixes.segment = kEs;
  const unsigned address_bits = long_mode ? (prefixes.address_size ? 32 : 64) : (prefixes.address_size ? 16 : 32);
  const std::uint64_t width = ~std::uint64_t{0} >> (64 - address_bits);
  const bool flat = long_mode && prefixes.segment != kFs && prefixes.segment != kGs;
  const std::uint64_t base =
      flat ? 0 : read(static_cast<F>(static_cast<std::uint32_t>(F::GuestEsBase) + 2U * prefixes.segment));
  const unsigned pointer = input ? kRdi : kRsi;
  const std::uint64_t step = (read(F::GuestRflags) & kFlagDf) != 0 ? 0 - std::uint64_t{size} : size;
  const auto advance = [&](unsigned index, std::uint64_t value) {
    set_general(index, address_bits == 16 ? (general(index) & ~width) | (value & width) : value & width);
  };
  std::uint64_t left = repeated ? general(kRcx) & width : 1;
  for (std::uint64_t iteration = 0; left != 0 && iteration < kMostIterations; ++iteration) {
    const std::uint64_t linear = base + (general(pointer) & width);
    const auto places =
        reach_operand({long_mode ? linear : linear & 0xffffffff}, size, input ? AccessKind::Write : AccessKind::Read);
    if (!places) return;  // A fault is on its way to the guest, or the machine stops.
    std::uint64_t value = input ? 0 : load_operand(*places, size);
    forward_port(port, size, input, value);
    if (input) store_operand(*places, size, value);
    advance(pointer, general(pointer) + step);
    --left;
    if (repeated) advance(kRcx, left);
    if (context_.request.stop != StopReason::None) break;
  }
  if (left == 0) skip_instruction();
}

/// Where each byte of an operand lies (it may cross a page), after the guest's own tables have allowed the access.
std::optional<VtxHost::OperandPlaces> VtxHost::reach_operand(VirtualAddress address, unsigned size, AccessKind kind) {
  OperandPlaces places{};
  for (unsigned byte = 0; byte < size; ++byte) {
    const GuestTables::Result result = guest_tables_.translate({address.value + byte}, kind, guest_cpl());
    if (const auto* fault = std::get_if<PageFault>(&result)) {
      inject_page_fault(*fault);
      return std::nullopt;
    }
    const auto* place = std::get_if<GuestPhysicalAddress>(&result);
    if (place == nullptr || !nested_.is_ram(*place)) {
      give_up(StopReason::Unsupported,
              "gives the virtual machine up: string I/O between a port and memory that is no RAM");
      return std::nullopt;
    }
    places[byte] = nested_.backing(*place);
  }
  return places;
}

std::uint64_t VtxHost::load_operand(const OperandPlaces& places, unsigned size) const {
  std::uint64_t value = 0;
  for (unsigned byte = 0; byte < size; ++byte) value |= context_.memory.read(places[byte], 1) << (8 * byte);
  return value;
}

void VtxHost::store_operand(const OperandPlaces& places, unsigned size, std::uint64_t value) {
  for (unsigned byte = 0; byte < size; ++byte) {
    const std::uint64_t content = value >> (8 * byte) & 0xff;
    const PhysicalAddress frame{places[byte].value & ~(kFrameBytes - 1)};
    if (mmu_.is_table_frame(frame)) mmu_.table_store(places[byte], 1, content);
    context_.memory.write(places[byte], 1, content);
    if (context_.engine.holds_code(frame)) context_.engine.invalidate_code(frame);
  }
}

// --- nested page faults ----------------------------------------------------------------------------------------------

void VtxHost::on_ept_violation() {
  const GuestPhysicalAddress address{read(F::GuestPhysicalAddress)};
  if (!nested_.is_ram(address)) {
    emulate_device_access(address);
    return;
  }
  const NestedMemory::Mapping mapping = nested_.map(address);
  if (mapping.tables_added != 0) act(actions::kEptTable, mapping.tables_added);
  if (!mapping.added) {  // All rights are given at once: nothing is left to grant.
    give_up(StopReason::Unsupported,
            "gives the virtual machine up: an EPT violation at a page that is mapped with all rights");
    return;
  }
  act(actions::kEptMap, address.value & ~page_offset_mask(mapping.page_size), mapping.frame.value);
}

void VtxHost::emulate_device_access(GuestPhysicalAddress address) {
  constexpr std::uint64_t kLinearAddressValid = 1U << 7, kTranslationDone = 1U << 8, kFetch = 1U << 2;
  const bool translated = (qualification() & kLinearAddressValid) != 0 && (qualification() & kTranslationDone) != 0;
  const bool fetch = (qualification() & kFetch) != 0;
  if (!translated || fetch) {
    answer_bus_fault();
    return;
  }
  if ((read(F::IdtVectoringInformation) & kInterruptionValid) != 0) {  // A stack, an IDT or a TSS in a device.
    give_up(StopReason::Unsupported, "gives the virtual machine up: the guest's stack, IDT or TSS is no RAM");
    return;
  }
  const VirtualAddress rip = instruction_address();
  const std::vector<std::uint8_t> bytes = fetch_guest_instruction(rip);
  act(actions::kFetchInstruction, rip.value);
  EmulationTarget target{
      .read_register = [&](unsigned index) { return general(index); },
      .write_register = [&](unsigned index, std::uint64_t value) { set_general(index, value); },
      .read_memory = [&](unsigned size) { return device_read(address, size); },
      .write_memory = [&](unsigned size, std::uint64_t value) { device_write(address, size, value); },
      .rflags = read(F::GuestRflags)};
  const std::optional<unsigned> length = emulate_memory_instruction(bytes, guest_in_64_bit_mode(), target);
  if (!length) {
    give_up(StopReason::Unsupported,
            "gives the virtual machine up: the instruction that touched a device is none that it emulates");
    return;
  }
  write(F::GuestRflags, target.rflags);
  write(F::ExitInstructionLength, *length);  // Not given by this kind of exit: the emulation knows it.
  skip_instruction();
}

/// A page table or an instruction where no RAM is: the bus reads as all ones there, which is a page-table entry with
/// reserved bits set, and no instruction.
void VtxHost::answer_bus_fault() {
  constexpr std::uint64_t kFetch = 1U << 2;
  const VirtualAddress linear{read(F::GuestLinearAddress)};
  const bool at_instruction = linear == instruction_address();
  const GuestTables::Result result =
      guest_tables_.translate(linear, at_instruction ? AccessKind::Fetch : AccessKind::Read, guest_cpl());
  if (const auto* fault = std::get_if<PageFault>(&result))
    inject_page_fault(*fault);
  else if ((qualification() & kFetch) != 0 && at_instruction)
    inject_exception(kInvalidOpcode);
  else
    give_up(StopReason::Unsupported, "gives the virtual machine up: an instruction reaches from RAM into nothing");
}

std::vector<std::uint8_t> VtxHost::fetch_guest_instruction(VirtualAddress address) {
  constexpr std::size_t kLongestInstruction = 15;
  std::vector<std::uint8_t> bytes;
  for (std::size_t index = 0; index < kLongestInstruction; ++index) {
    const GuestTables::Result result = guest_tables_.translate({address.value + index}, AccessKind::Fetch, guest_cpl());
    const auto* place = std::get_if<GuestPhysicalAddress>(&result);
    if (place == nullptr || !nested_.is_ram(*place)) break;
    bytes.push_back(static_cast<std::uint8_t>(nested_.read(*place, 1)));
  }
  return bytes;
}

std::uint64_t VtxHost::device_read(GuestPhysicalAddress address, unsigned size) {
  const bool apic = (address.value & ~(kFrameBytes - 1)) == kApicPage;
  const std::uint64_t mask = size == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * size)) - 1;
  const std::uint64_t value = mask & (apic ? virtual_apic_.read(address.value - kApicPage, size)
                                           : context_.devices.memory_read({address.value}, size));
  act(apic ? actions::kApicRead : actions::kDeviceRead, apic ? address.value - kApicPage : address.value, value);
  return value;
}

void VtxHost::device_write(GuestPhysicalAddress address, unsigned size, std::uint64_t value) {
  const bool apic = (address.value & ~(kFrameBytes - 1)) == kApicPage;
  act(apic ? actions::kApicWrite : actions::kDeviceWrite, apic ? address.value - kApicPage : address.value, value);
  if (apic)
    virtual_apic_.write(address.value - kApicPage, size, value);
  else
    context_.devices.memory_write({address.value}, size, value);
}

}  // namespace

std::unique_ptr<Host> make_vtx_host(MachineContext context, SystemState& state, VmxUnit& vmx, Mmu& mmu,
                                    LocalApic& physical_apic) {
  return std::make_unique<VtxHost>(context, state, vmx, mmu, physical_apic);
}

std::uint64_t vtx_physical_memory_bytes(const MachineConfig& config) {
  return NestedMemory::physical_memory_bytes(config);
}

}  // namespace shearling::x86
