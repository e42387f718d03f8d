// SPDX-License-Identifier: GPL-3.0-or-later
//
// The GIC's system registers (IHI 0069, chapter 12): the CPU interface, whose names the virtual interface answers to as
// well, and the hypervisor's control of that one. This GIC has no memory-mapped CPU interface, so SRE is always set.
#include "isa-arm/registers/register_groups.h"

namespace shearling::arm::groups {
namespace {

constexpr RegisterField kPriorityMask[] = {{"Priority", 7, 0, "Only interrupts of a lower number get through."}};
constexpr RegisterField kInterrupt[] = {{"INTID", 23, 0, "Number of the interrupt; 1023: none."}};
constexpr RegisterField kBinaryPoint[] = {{"BinaryPoint", 2, 0, "Where a priority splits into group and subpriority."}};
constexpr RegisterField kActivePriorities[] = {{"P", 31, 0, "One bit for each active priority group."}};
constexpr RegisterField kRunning[] = {{"Priority", 7, 0, "Of the active interrupt; 0xff: none."}};
constexpr RegisterField kSoftware[] = {
    {"Aff3", 55, 48, "Affinity 3 of the targets."}, {"IRM", 40, 40, "All cores but this one."},
    {"Aff2", 39, 32, "Affinity 2 of the targets."}, {"INTID", 27, 24, "The software-generated interrupt, 0 to 15."},
    {"Aff1", 23, 16, "Affinity 1 of the targets."}, {"TargetList", 15, 0, "One bit for each core of the cluster."}};
constexpr RegisterField kControl[] = {{"A3V", 15, 15, "Affinity 3 may be other than 0."},
                                      {"IDbits", 13, 11, "1: interrupt numbers have 24 bits."},
                                      {"PRIbits", 10, 8, "Priority bits, less one."},
                                      {"PMHE", 6, 6, "The priority mask steers delivery to one of several cores."},
                                      {"EOImode", 1, 1, "EOIR drops the priority only; DIR deactivates."},
                                      {"CBPR", 0, 0, "BPR0 serves both groups."}};
constexpr RegisterField kEnable[] = {{"Enable", 0, 0, "Interrupts of the group are signalled."}};
constexpr RegisterField kSystemRegisterEnable[] = {{"Enable", 3, 3, "EL1 may use ICC_SRE_EL1 (EL2's register only)."},
                                                   {"DIB", 2, 2, "IRQ bypass is off."},
                                                   {"DFB", 1, 1, "FIQ bypass is off."},
                                                   {"SRE", 0, 0, "The CPU interface is system registers."}};
constexpr RegisterField kHypervisorControl[] = {
    {"EOIcount", 31, 27, "Ends of interrupts that no list register holds."},
    {"TDIR", 14, 14, "EL1's writes of ICC_DIR_EL1 trap."},
    {"TSEI", 13, 13, "Locally generated SErrors trap."},
    {"TALL1", 12, 12, "EL1's accesses to group 1 registers trap."},
    {"TALL0", 11, 11, "EL1's accesses to group 0 registers trap."},
    {"TC", 10, 10, "EL1's accesses to registers of both groups trap."},
    {"VGrp1DIE", 7, 7, "Maintenance interrupt while group 1 is off."},
    {"VGrp1EIE", 6, 6, "Maintenance interrupt while group 1 is on."},
    {"VGrp0DIE", 5, 5, "Maintenance interrupt while group 0 is off."},
    {"VGrp0EIE", 4, 4, "Maintenance interrupt while group 0 is on."},
    {"NPIE", 3, 3, "Maintenance interrupt while none is pending."},
    {"LRENPIE", 2, 2, "Maintenance interrupt while EOIcount is not 0."},
    {"UIE", 1, 1, "Maintenance interrupt at one valid list register or none."},
    {"En", 0, 0, "The virtual interface is on."}};
constexpr RegisterField kType[] = {{"PRIbits", 31, 29, "Virtual priority bits, less one."},
                                   {"PREbits", 28, 26, "Virtual preemption bits, less one."},
                                   {"IDbits", 25, 23, "1: virtual interrupt numbers have 24 bits."},
                                   {"SEIS", 22, 22, "Local SErrors can be generated."},
                                   {"A3V", 21, 21, "Affinity 3 may be other than 0."},
                                   {"nV4", 20, 20, "Interrupts are not injected by the ITS."},
                                   {"TDS", 19, 19, "ICH_HCR_EL2.TDIR exists."},
                                   {"ListRegs", 4, 0, "List registers, less one."}};
constexpr RegisterField kMaintenance[] = {{"VGrp1D", 7, 7, "Group 1 is off."},
                                          {"VGrp1E", 6, 6, "Group 1 is on."},
                                          {"VGrp0D", 5, 5, "Group 0 is off."},
                                          {"VGrp0E", 4, 4, "Group 0 is on."},
                                          {"NP", 3, 3, "No list register is pending."},
                                          {"LRENP", 2, 2, "EOIcount is not 0."},
                                          {"U", 1, 1, "One list register is valid, or none."},
                                          {"EOI", 0, 0, "A list register asked for this when its interrupt ended."}};
constexpr RegisterField kListStatus[] = {{"Status", 15, 0, "One bit for each list register."}};
constexpr RegisterField kMachineControl[] = {{"VPMR", 31, 24, "The guest's priority mask."},
                                             {"VBPR0", 23, 21, "The guest's binary point, group 0."},
                                             {"VBPR1", 20, 18, "The guest's binary point, group 1."},
                                             {"VEOIM", 9, 9, "The guest's EOImode."},
                                             {"VCBPR", 4, 4, "The guest's CBPR."},
                                             {"VFIQEn", 3, 3, "Group 0 is signalled as virtual FIQs."},
                                             {"VAckCtl", 2, 2, "Group 1 is acknowledged by group 0's register."},
                                             {"VENG1", 1, 1, "The guest's enable of group 1."},
                                             {"VENG0", 0, 0, "The guest's enable of group 0."}};
constexpr RegisterField kListRegister[] = {
    {"State", 63, 62, "0 invalid, 1 pending, 2 active, 3 both."},
    {"HW", 61, 61, "The guest's end deactivates the physical interrupt."},
    {"Group", 60, 60, "The virtual interrupt's group."},
    {"Priority", 55, 48, "The virtual interrupt's priority."},
    {"pINTID", 44, 32, "The physical interrupt; without HW, bit 41 asks for EOI."},
    {"vINTID", 31, 0, "Number that the guest sees."}};

constexpr std::uint64_t kSoftwareBits = 0x00ff01ff0fffffff, kIdBits = 0xffffff, kListBits = 0xf0ff1fffffffffff;
constexpr RegisterGroup kPhysical{"GIC", kInterruptSection}, kVirtual{"virtual GIC", kVirtualInterruptSection};
constexpr SystemRegisterInfo kRows[] = {
    kPhysical.row(R::ICC_PMR_EL1, "ICC_PMR_EL1", {3, 0, 4, 6, 0}, H::Interrupt, 0, 0xf8, 0, 1, 1, kPriorityMask),
    kPhysical.row(R::ICC_IAR0_EL1, "ICC_IAR0_EL1", {3, 0, 12, 8, 0}, H::Interrupt, 0, 0, 0, 1, kNobody, kInterrupt),
    kPhysical.row(R::ICC_EOIR0_EL1, "ICC_EOIR0_EL1", {3, 0, 12, 8, 1}, H::Interrupt, 0, kIdBits, 0, kNobody, 1,
                  kInterrupt),
    kPhysical.row(R::ICC_HPPIR0_EL1, "ICC_HPPIR0_EL1", {3, 0, 12, 8, 2}, H::Interrupt, 0, 0, 0, 1, kNobody, kInterrupt),
    kPhysical.row(R::ICC_BPR0_EL1, "ICC_BPR0_EL1", {3, 0, 12, 8, 3}, H::Interrupt, 0, 7, 0, 1, 1, kBinaryPoint),
    kPhysical.row(R::ICC_AP0R0_EL1, "ICC_AP0R0_EL1", {3, 0, 12, 8, 4}, H::Interrupt, 0, kLowWord, 0, 1, 1,
                  kActivePriorities),
    kPhysical.row(R::ICC_AP1R0_EL1, "ICC_AP1R0_EL1", {3, 0, 12, 9, 0}, H::Interrupt, 0, kLowWord, 0, 1, 1,
                  kActivePriorities),
    kPhysical.row(R::ICC_DIR_EL1, "ICC_DIR_EL1", {3, 0, 12, 11, 1}, H::Interrupt, 0, kIdBits, 0, kNobody, 1,
                  kInterrupt),
    kPhysical.row(R::ICC_RPR_EL1, "ICC_RPR_EL1", {3, 0, 12, 11, 3}, H::Interrupt, 0, 0, 0, 1, kNobody, kRunning),
    kPhysical.row(R::ICC_SGI1R_EL1, "ICC_SGI1R_EL1", {3, 0, 12, 11, 5}, H::Interrupt, 0, kSoftwareBits, 0, kNobody, 1,
                  kSoftware),
    kPhysical.row(R::ICC_ASGI1R_EL1, "ICC_ASGI1R_EL1", {3, 0, 12, 11, 6}, H::Interrupt, 0, kSoftwareBits, 0, kNobody, 1,
                  kSoftware),
    kPhysical.row(R::ICC_SGI0R_EL1, "ICC_SGI0R_EL1", {3, 0, 12, 11, 7}, H::Interrupt, 0, kSoftwareBits, 0, kNobody, 1,
                  kSoftware),
    kPhysical.row(R::ICC_IAR1_EL1, "ICC_IAR1_EL1", {3, 0, 12, 12, 0}, H::Interrupt, 0, 0, 0, 1, kNobody, kInterrupt),
    kPhysical.row(R::ICC_EOIR1_EL1, "ICC_EOIR1_EL1", {3, 0, 12, 12, 1}, H::Interrupt, 0, kIdBits, 0, kNobody, 1,
                  kInterrupt),
    kPhysical.row(R::ICC_HPPIR1_EL1, "ICC_HPPIR1_EL1", {3, 0, 12, 12, 2}, H::Interrupt, 0, 0, 0, 1, kNobody,
                  kInterrupt),
    kPhysical.row(R::ICC_BPR1_EL1, "ICC_BPR1_EL1", {3, 0, 12, 12, 3}, H::Interrupt, 0, 7, 0, 1, 1, kBinaryPoint),
    kPhysical.row(R::ICC_CTLR_EL1, "ICC_CTLR_EL1", {3, 0, 12, 12, 4}, H::Interrupt, 0, 0x43, 0, 1, 1, kControl),
    kPhysical.row(R::ICC_SRE_EL1, "ICC_SRE_EL1", {3, 0, 12, 12, 5}, H::Stored, 7, 0, 7, 1, 1, kSystemRegisterEnable),
    kPhysical.row(R::ICC_IGRPEN0_EL1, "ICC_IGRPEN0_EL1", {3, 0, 12, 12, 6}, H::Interrupt, 0, 1, 0, 1, 1, kEnable),
    kPhysical.row(R::ICC_IGRPEN1_EL1, "ICC_IGRPEN1_EL1", {3, 0, 12, 12, 7}, H::Interrupt, 0, 1, 0, 1, 1, kEnable),
    kPhysical.row(R::ICC_SRE_EL2, "ICC_SRE_EL2", {3, 4, 12, 9, 5}, H::Stored, 0xf, 8, 7, 2, 2, kSystemRegisterEnable,
                  "el2"),
    kVirtual.row(R::ICH_AP0R0_EL2, "ICH_AP0R0_EL2", {3, 4, 12, 8, 0}, H::Hypervisor, 0, kLowWord, 0, 2, 2,
                 kActivePriorities, "el2"),
    kVirtual.row(R::ICH_AP1R0_EL2, "ICH_AP1R0_EL2", {3, 4, 12, 9, 0}, H::Hypervisor, 0, kLowWord, 0, 2, 2,
                 kActivePriorities, "el2"),
    kVirtual.row(R::ICH_HCR_EL2, "ICH_HCR_EL2", {3, 4, 12, 11, 0}, H::Hypervisor, 0, 0xf8007cff, 0, 2, 2,
                 kHypervisorControl, "el2"),
    kVirtual.row(R::ICH_VTR_EL2, "ICH_VTR_EL2", {3, 4, 12, 11, 1}, H::Hypervisor, 0, 0, 0, 2, kNobody, kType, "el2"),
    kVirtual.row(R::ICH_MISR_EL2, "ICH_MISR_EL2", {3, 4, 12, 11, 2}, H::Hypervisor, 0, 0, 0, 2, kNobody, kMaintenance,
                 "el2"),
    kVirtual.row(R::ICH_EISR_EL2, "ICH_EISR_EL2", {3, 4, 12, 11, 3}, H::Hypervisor, 0, 0, 0, 2, kNobody, kListStatus,
                 "el2"),
    kVirtual.row(R::ICH_ELRSR_EL2, "ICH_ELRSR_EL2", {3, 4, 12, 11, 5}, H::Hypervisor, 0, 0, 0, 2, kNobody, kListStatus,
                 "el2"),
    kVirtual.row(R::ICH_VMCR_EL2, "ICH_VMCR_EL2", {3, 4, 12, 11, 7}, H::Hypervisor, 0, 0xfffc021f, 0, 2, 2,
                 kMachineControl, "el2"),
    kVirtual.row(R::ICH_LR0_EL2, "ICH_LR0_EL2", {3, 4, 12, 12, 0}, H::Hypervisor, 0, kListBits, 0, 2, 2, kListRegister,
                 "el2"),
    kVirtual.row(R::ICH_LR1_EL2, "ICH_LR1_EL2", {3, 4, 12, 12, 1}, H::Hypervisor, 0, kListBits, 0, 2, 2, kListRegister,
                 "el2"),
    kVirtual.row(R::ICH_LR2_EL2, "ICH_LR2_EL2", {3, 4, 12, 12, 2}, H::Hypervisor, 0, kListBits, 0, 2, 2, kListRegister,
                 "el2"),
    kVirtual.row(R::ICH_LR3_EL2, "ICH_LR3_EL2", {3, 4, 12, 12, 3}, H::Hypervisor, 0, kListBits, 0, 2, 2, kListRegister,
                 "el2"),
};

}  // namespace

std::span<const SystemRegisterInfo> interrupts() { return kRows; }

}  // namespace shearling::arm::groups
