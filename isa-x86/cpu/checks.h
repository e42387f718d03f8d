// SPDX-License-Identifier: GPL-3.0-or-later
//
// Every comparison that the processor makes before it does something, as a table: the name that lessons and exports use
// and the sentence that tells it. {actual} and {required} are what was compared.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace shearling::x86 {

enum class CheckId : std::uint8_t {
  PrivilegeLevelZero,
  IoPrivilege,
  IoPermissionMap,
  TimeStampDisable,
  UserModeInstructionPrevention,
  PerformanceCounter,
  FeaturePresent,
  ControlBitSet,
  FloatingPointEnabled,
  TaskSwitched,
  SegmentLimit,
  SegmentUsable,
  SegmentWritable,
  DescriptorLimit,
  DescriptorNull,
  DescriptorType,
  DescriptorPrivilege,
  DescriptorPresent,
  SelectorPrivilege,
  CodeLongMode,
  Canonical,
  GateLimit,
  GateType,
  GatePrivilege,
  GatePresent,
  TaskStateLimit,
  StackPrivilege,
  ReservedBits,
  PagingNeedsProtection,
  PagingNeedsPae,
  CacheControlBits,
  LongModeTransition,
  LongModeNeedsPaging,
  LongModeNeedsPae,
  PcidNeedsLongMode,
  MsrKnown,
  MsrValue,
  NestedTask,
  InstructionKnown,
  Count
};

struct CheckText {
  CheckId id;
  std::string_view name;
  std::string_view sentence;
};

inline constexpr std::array<CheckText, static_cast<std::size_t>(CheckId::Count)> kCheckTexts{{
    {CheckId::PrivilegeLevelZero, "CPL = 0", "A privileged instruction: CPL {actual} must be {required}"},
    {CheckId::IoPrivilege, "CPL <= IOPL", "CPL {actual} must not be above IOPL {required}"},
    {CheckId::IoPermissionMap, "I/O permission map",
     "CPL is above IOPL, so the port's bits in the TSS, {actual}, must be {required}"},
    {CheckId::TimeStampDisable, "CR4.TSD",
     "With CR4.TSD set, only CPL 0 may read the time-stamp counter: CPL is {actual}"},
    {CheckId::UserModeInstructionPrevention, "CR4.UMIP",
     "With CR4.UMIP set, only CPL 0 may read descriptor-table registers: CPL is {actual}"},
    {CheckId::PerformanceCounter, "performance counter", "There must be a performance counter {actual}"},
    {CheckId::FeaturePresent, "feature present", "The core must have the feature"},
    {CheckId::ControlBitSet, "control bit", "The control register, {actual}, must have the bit {required} set"},
    {CheckId::FloatingPointEnabled, "CR0.EM, CR4.OSFXSR",
     "The control bits that enable the instruction, {actual}, must be {required}"},
    {CheckId::TaskSwitched, "CR0.TS",
     "CR0's bits that say that floating-point state is another task's, {actual}, must be {required}"},
    {CheckId::SegmentLimit, "segment limit",
     "The last byte's offset {actual} must not be above the segment's limit {required}"},
    {CheckId::SegmentUsable, "segment usable", "The segment register must hold a segment: its selector is {actual}"},
    {CheckId::SegmentWritable, "segment writable", "The segment's type {actual} must allow the access"},
    {CheckId::DescriptorLimit, "descriptor table limit",
     "The descriptor's last byte {actual} must not be above the table's limit {required}"},
    {CheckId::DescriptorNull, "selector not null", "The selector {actual} must not be null"},
    {CheckId::DescriptorType, "descriptor type",
     "The descriptor's type and S bit, {actual}, must be what the instruction needs"},
    {CheckId::DescriptorPrivilege, "descriptor privilege",
     "The descriptor's DPL {actual} must fit privilege level {required}"},
    {CheckId::DescriptorPresent, "descriptor present", "The descriptor of selector {actual} must be present"},
    {CheckId::SelectorPrivilege, "selector privilege",
     "The selector's RPL {actual} must fit privilege level {required}"},
    {CheckId::CodeLongMode, "L and D bits",
     "The code segment's bits L and D, {actual}, must not both be set, and must fit the mode"},
    {CheckId::Canonical, "canonical address", "The address {actual} must be canonical"},
    {CheckId::GateLimit, "IDT limit", "The gate's last byte {actual} must not be above the IDT's limit {required}"},
    {CheckId::GateType, "gate type", "The gate's type {actual} must be an interrupt or trap gate"},
    {CheckId::GatePrivilege, "gate privilege",
     "A software interrupt: CPL {actual} must not be above the gate's DPL {required}"},
    {CheckId::GatePresent, "gate present", "The gate of vector {actual} must be present"},
    {CheckId::TaskStateLimit, "TSS limit",
     "The stack pointer's last byte in the TSS, {actual}, must not be above its limit {required}"},
    {CheckId::StackPrivilege, "stack privilege", "The stack segment's privilege {actual} must be {required}"},
    {CheckId::ReservedBits, "reserved bits", "The value {actual} must have none of the reserved bits {required}"},
    {CheckId::PagingNeedsProtection, "PG needs PE", "CR0 would be {actual}: paging needs protected mode"},
    {CheckId::PagingNeedsPae, "long mode needs PAE",
     "EFER.LME is set, so CR4 {actual} must have PAE for paging to begin"},
    {CheckId::CacheControlBits, "NW needs CD", "CR0 would be {actual}: NW needs CD"},
    {CheckId::LongModeTransition, "no paging change in 64-bit code",
     "CS.L is {actual}: it must be {required} while paging is turned on or off"},
    {CheckId::LongModeNeedsPaging, "LME fixed while paging",
     "EFER.LME must not change while paging is on: EFER would be {actual}"},
    {CheckId::LongModeNeedsPae, "PAE fixed in long mode", "CR4 would be {actual}: PAE must stay set in long mode"},
    {CheckId::PcidNeedsLongMode, "PCIDE",
     "PCIDs need long mode, and CR3 bits 11:0 {actual} must be {required} when they are turned on"},
    {CheckId::MsrKnown, "MSR exists", "The core must have the MSR {actual}"},
    {CheckId::MsrValue, "MSR value", "The value {actual} must be legal for the MSR {required}"},
    {CheckId::NestedTask, "RFLAGS.NT", "RFLAGS.NT must be clear for IRET: there are no hardware tasks in long mode"},
    {CheckId::InstructionKnown, "instruction exists", "The bytes must be an instruction of this core"},
}};

constexpr bool check_texts_are_in_order() {
  for (std::size_t i = 0; i < kCheckTexts.size(); ++i) {
    if (static_cast<std::size_t>(kCheckTexts[i].id) != i) return false;
  }
  return true;
}
static_assert(check_texts_are_in_order());

}  // namespace shearling::x86
