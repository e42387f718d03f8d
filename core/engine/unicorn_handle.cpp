// SPDX-License-Identifier: GPL-3.0-or-later
//
// How Unicorn is opened, and how its callbacks reach the engine.
#include "core/engine/unicorn_handle.h"

#include "core/engine/unicorn_engine.h"

#ifdef __SANITIZE_ADDRESS__
// Unicorn 2.1.1 loses 32 bytes with each handle that is closed.
extern "C" const char* __lsan_default_suppressions();  // NOLINT(bugprone-reserved-identifier)
extern "C" const char* __lsan_default_suppressions() { return "leak:libunicorn.so"; }  // NOLINT
#endif

namespace shearling {

namespace {

bool fill_hook(uc_engine*, std::uint64_t address, uc_mem_type type, uc_tlb_entry* entry, void* user) {
  auto& handle = *static_cast<UnicornHandle*>(user);
  const AccessKind kind = type == UC_MEM_FETCH   ? AccessKind::Fetch
                          : type == UC_MEM_WRITE ? AccessKind::Write
                                                 : AccessKind::Read;
  return handle.engine->on_fill(handle, address, kind, *entry);
}
void interrupt_hook(uc_engine*, std::uint32_t vector, void* user) {
  auto& handle = *static_cast<UnicornHandle*>(user);
  handle.engine->on_interrupt(handle, vector);
}
void memory_hook(uc_engine*, uc_mem_type type, std::uint64_t address, int size, std::int64_t value, void* user) {
  auto& handle = *static_cast<UnicornHandle*>(user);
  handle.engine->on_memory(handle, type == UC_MEM_WRITE ? AccessKind::Write : AccessKind::Read, address,
                           static_cast<unsigned>(size), static_cast<std::uint64_t>(value));
}
void observed_block_hook(uc_engine*, std::uint64_t address, std::uint32_t size, void* user) {
  auto& handle = *static_cast<UnicornHandle*>(user);
  handle.engine->on_observed_block(handle, address, size);
}
void observed_instruction_hook(uc_engine*, std::uint64_t address, std::uint32_t size, void* user) {
  auto& handle = *static_cast<UnicornHandle*>(user);
  handle.engine->on_observed_instruction(handle, address, size);
}
void observed_memory_hook(uc_engine*, uc_mem_type type, std::uint64_t address, int size, std::int64_t, void* user) {
  auto& handle = *static_cast<UnicornHandle*>(user);
  handle.engine->on_observed_access(type == UC_MEM_WRITE ? AccessKind::Write : AccessKind::Read, address,
                                    static_cast<unsigned>(size));
}

template <bool kAboveRam>
std::uint64_t device_read_hook(uc_engine*, std::uint64_t offset, unsigned size, void* user) {
  auto& handle = *static_cast<UnicornHandle*>(user);
  return handle.engine->on_device_read(handle, handle.engine->device_address(offset, kAboveRam), size);
}
template <bool kAboveRam>
void device_write_hook(uc_engine*, std::uint64_t offset, unsigned size, std::uint64_t value, void* user) {
  auto& handle = *static_cast<UnicornHandle*>(user);
  handle.engine->on_device_write(handle, handle.engine->device_address(offset, kAboveRam), size, value);
}

template <typename Callback>
bool add_hook(UnicornHandle& handle, int type, Callback* callback) {
  uc_hook id{};
  return uc_hook_add(handle.uc, &id, type, reinterpret_cast<void*>(callback), &handle, 1, 0) == UC_ERR_OK;
}

bool add_hooks(UnicornHandle& opened) {
  if (!add_hook(opened, UC_HOOK_TLB_FILL, &fill_hook) || !add_hook(opened, UC_HOOK_INTR, &interrupt_hook)) return false;
  switch (opened.use) {
    case HandleUse::Direct:
      return add_hook(opened, UC_HOOK_BLOCK, &direct_block_hook);
    case HandleUse::Stepping:
      return add_hook(opened, UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, &memory_hook);
    case HandleUse::Observed:
      opened.observed.resize(kObservedInstructions);
      return add_hook(opened, UC_HOOK_BLOCK, &observed_block_hook) &&
             add_hook(opened, UC_HOOK_CODE, &observed_instruction_hook) &&
             add_hook(opened, UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, &observed_memory_hook);
  }
  return false;
}

}  // namespace

std::unique_ptr<UnicornHandle> open_handle(UnicornEngine& engine, PhysicalMemory& memory,
                                           const UnicornArchitecture& architecture, HandleUse use) {
  constexpr std::uint32_t kDirectCodeBytes = 64 << 20;
  constexpr std::uint32_t kSteppingCodeBytes = 32 << 20;
  auto opened = std::make_unique<UnicornHandle>();
  opened->engine = &engine;
  opened->architecture = &architecture;
  opened->use = use;
  if (uc_open(architecture.arch, architecture.width, &opened->uc) != UC_ERR_OK) return nullptr;
  uc_engine* uc = opened->uc;
  const std::uint64_t base = memory.base().value;
  const std::uint64_t end = base + memory.size();
  bool good = uc_ctl_set_cpu_model(uc, architecture.cpu_model) == UC_ERR_OK;
  good = good && uc_ctl_set_tcg_buffer_size(uc, use == HandleUse::Stepping ? kSteppingCodeBytes : kDirectCodeBytes) ==
                     UC_ERR_OK;
  good = good && uc_mem_map_ptr(uc, base, memory.size(), UC_PROT_ALL, memory.host_data()) == UC_ERR_OK;
  good = good && uc_mmio_map(uc, end, architecture.physical_end - end, &device_read_hook<true>, opened.get(),
                             &device_write_hook<true>, opened.get()) == UC_ERR_OK;
  if (base != 0) {
    good = good && uc_mmio_map(uc, 0, base, &device_read_hook<false>, opened.get(), &device_write_hook<false>,
                               opened.get()) == UC_ERR_OK;
  }
  good = good && uc_ctl_tlb_mode(uc, UC_TLB_VIRTUAL) == UC_ERR_OK;
  // No address ends a run, not even 0.
  good = good && uc_ctl_exits_enable(uc) == UC_ERR_OK;
  good = good && uc_ctl_set_exits(uc, static_cast<std::uint64_t*>(nullptr), std::size_t{0}) == UC_ERR_OK;
  good = good && add_hooks(*opened);
  good = good && architecture.set_up(uc);
  good =
      good && uc_context_alloc(uc, &opened->clean) == UC_ERR_OK && uc_context_alloc(uc, &opened->scratch) == UC_ERR_OK;
  good = good && uc_context_save(uc, opened->clean) == UC_ERR_OK;
  if (!good) return nullptr;
  return opened;
}

}  // namespace shearling
