// SPDX-License-Identifier: GPL-3.0-or-later
//
// The engine's handles and its register file: which handle owns it, and how it is handed on.
#include "core/engine/unicorn_engine.h"

#include <algorithm>

#include "core/base/assert.h"

namespace shearling {

UnicornHandle* UnicornEngine::handle(HandleUse use) {
  auto& slot = handles_[architecture_->first_handle + static_cast<unsigned>(use)];
  if (slot == nullptr) slot = open_handle(*this, memory_, *architecture_, use);
  return slot.get();
}

void UnicornEngine::read_registers(uc_engine* uc, EngineState& state) const {
  const RegisterList& list = architecture_->registers;
  std::array<std::array<std::uint64_t, 2>, kMostRegisters> values{};
  std::array<void*, kMostRegisters> places{};
  const std::size_t count = list.ids.size();
  for (std::size_t index = 0; index < count; ++index) places[index] = values[index].data();
  uc_reg_read_batch(uc, const_cast<int*>(list.ids.data()), places.data(), static_cast<int>(count));
  for (std::size_t index = 0; index < count; ++index) {
    const auto words = architecture_->words_of(state, list.names[index]);
    std::copy_n(values[index].begin(), words.size(), words.begin());
  }
  architecture_->normalize(state);
}

void UnicornEngine::write_registers(uc_engine* uc, const EngineState& state) const {
  const RegisterList& list = architecture_->registers;
  EngineState copy = state;
  architecture_->normalize(copy);
  std::array<std::array<std::uint64_t, 2>, kMostRegisters> values{};
  std::array<void*, kMostRegisters> places{};
  const std::size_t count = list.ids.size();
  for (std::size_t index = 0; index < count; ++index) {
    const auto words = architecture_->words_of(copy, list.names[index]);
    std::copy(words.begin(), words.end(), values[index].begin());
    places[index] = values[index].data();
  }
  uc_reg_write_batch(uc, const_cast<int*>(list.ids.data()), places.data(), static_cast<int>(count));
  if (architecture_->write_unlisted != nullptr) architecture_->write_unlisted(uc, state);
}

/// Makes `target` the owner of the register file, with the trap flag as it needs it.
void UnicornEngine::acquire(UnicornHandle& target) {
  if (owner_ == &target) return;
  if (owner_ != nullptr && owner_->architecture == target.architecture) {
    uc_context_save(owner_->uc, owner_->scratch);
    uc_context_restore(target.uc, owner_->scratch);
  } else {
    write_registers(target.uc, state());
  }
  owner_ = &target;
  architecture_->set_stepping(target.uc, target.stepping());
}

/// Before execution on a handle: registers, code, soft TLB.
void UnicornEngine::prepare(UnicornHandle& target) {
  if (mark_epoch_ != memory_.mark_epoch()) {
    mark_epoch_ = memory_.mark_epoch();
    for (auto& each : handles_) {
      if (each != nullptr) each->soft_tlb_stale = true;
    }
  }
  if (target.drop_all || !target.suspect.empty()) drop_changed_code(target);
  if (target.soft_tlb_stale) {
    uc_ctl_flush_tlb(target.uc);
    target.writable.clear();
    target.soft_tlb_stale = false;
  }
  acquire(target);
}

/// After an exception of Unicorn's own: it keeps the exception, and the next one would become a double fault.
void UnicornEngine::repair(UnicornHandle& target) {
  const EngineState kept = state();
  uc_context_restore(target.uc, target.clean);
  registers_ = kept;
  owner_ = nullptr;
}

std::uint64_t UnicornEngine::hook_program_counter(const UnicornHandle& handle) {
  std::uint64_t value = 0;
  uc_reg_read(handle.uc, handle.architecture->program_counter, &value);
  return value;
}

std::uint64_t UnicornEngine::read(EngineRegister reg) const {
  if (owner_ != nullptr) {
    const RegisterList& list = architecture_->registers;
    const auto found = std::find(list.names.begin(), list.names.end(), reg);
    if (found != list.names.end()) {
      std::array<std::uint64_t, 2> value{};
      uc_reg_read(owner_->uc, list.ids[static_cast<std::size_t>(found - list.names.begin())], value.data());
      if (reg.register_class != RegisterClass::Flags) return value[0];
      return (value[0] & architecture_->carried_flags) | architecture_->constant_flags;
    }
  }
  const auto words = architecture_->words_of(const_cast<EngineState&>(registers_), reg);
  return words.empty() ? 0 : words[0];
}

void UnicornEngine::write(EngineRegister reg, std::uint64_t value) {
  if (owner_ == nullptr) {
    const auto words = architecture_->words_of(registers_, reg);
    if (!words.empty()) words[0] = value;
    architecture_->normalize(registers_);
    return;
  }
  const auto words = architecture_->words_of(registers_, reg);
  if (words.empty()) return;
  const RegisterList& list = architecture_->registers;
  const auto found = std::find(list.names.begin(), list.names.end(), reg);
  if (found == list.names.end()) {
    words[0] = value;
    if (architecture_->write_unlisted != nullptr) architecture_->write_unlisted(owner_->uc, registers_);
    return;
  }
  const int id = list.ids[static_cast<std::size_t>(found - list.names.begin())];
  std::array<std::uint64_t, 2> raw{};
  uc_reg_read(owner_->uc, id, raw.data());
  raw[0] = reg.register_class == RegisterClass::Flags
               ? (value & architecture_->carried_flags) | architecture_->constant_flags |
                     (owner_->stepping() ? architecture_->stepping_flags : 0)
               : value;
  uc_reg_write(owner_->uc, id, raw.data());
}

EngineState UnicornEngine::state() const {
  EngineState result = registers_;
  if (owner_ != nullptr) read_registers(owner_->uc, result);
  return result;
}

void UnicornEngine::set_state(const EngineState& state) {
  SHEARLING_ASSERT(architecture_of(state.mode).arch == architecture_->arch, "an engine executes one architecture");
  mode_ = state.mode;
  architecture_ = &architecture_of(mode_);
  registers_ = state;
  architecture_->normalize(registers_);
  owner_ = nullptr;
}

void UnicornEngine::set_mode(ExecutionMode mode) {
  if (mode == mode_) return;
  EngineState carried = state();
  carried.mode = mode;
  set_state(carried);
  flush_translations();
}

std::unique_ptr<CpuEngine> make_unicorn_engine(PhysicalMemory& memory, ExecutionMode initial_mode) {
  auto engine = std::make_unique<UnicornEngine>(memory, initial_mode);
  if (!engine->open()) return nullptr;
  return engine;
}

}  // namespace shearling
