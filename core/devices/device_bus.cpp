// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/devices/device_bus.h"

namespace shearling {
namespace {

std::uint64_t all_ones(unsigned size) { return size >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * size)) - 1; }

}  // namespace

void DeviceBus::attach_ports(Device& device, std::uint16_t first, std::uint16_t count) {
  ports_.push_back({&device, first, count});
}

void DeviceBus::attach_memory(Device& device, PhysicalAddress first, std::uint64_t bytes) {
  memory_.push_back({&device, first.value, bytes});
}

const DeviceBus::Mapping* DeviceBus::find(const std::vector<Mapping>& mappings, std::uint64_t address) {
  for (const Mapping& mapping : mappings) {
    if (address >= mapping.first && address - mapping.first < mapping.bytes) return &mapping;
  }
  return nullptr;
}

bool DeviceBus::claims_memory(PhysicalAddress address) const { return find(memory_, address.value) != nullptr; }

std::uint64_t DeviceBus::read(const std::vector<Mapping>& mappings, std::uint64_t address, unsigned size) {
  const Mapping* mapping = find(mappings, address);
  const std::uint64_t value =
      mapping == nullptr ? all_ones(size) : mapping->device->read(address - mapping->first, size) & all_ones(size);
  events_.micro(DeviceAccess{.device = mapping == nullptr ? std::string_view("nothing") : mapping->device->name(),
                             .write = false,
                             .size = static_cast<std::uint8_t>(size),
                             .address = address,
                             .value = value});
  return value;
}

void DeviceBus::write(const std::vector<Mapping>& mappings, std::uint64_t address, unsigned size, std::uint64_t value) {
  const Mapping* mapping = find(mappings, address);
  value &= all_ones(size);
  events_.micro(DeviceAccess{.device = mapping == nullptr ? std::string_view("nothing") : mapping->device->name(),
                             .write = true,
                             .size = static_cast<std::uint8_t>(size),
                             .address = address,
                             .value = value});
  if (mapping != nullptr) mapping->device->write(address - mapping->first, size, value);
}

std::uint64_t DeviceBus::port_read(std::uint16_t port, unsigned size) { return read(ports_, port, size); }
void DeviceBus::port_write(std::uint16_t port, unsigned size, std::uint64_t value) { write(ports_, port, size, value); }
std::uint64_t DeviceBus::memory_read(PhysicalAddress address, unsigned size) {
  return read(memory_, address.value, size);
}
void DeviceBus::memory_write(PhysicalAddress address, unsigned size, std::uint64_t value) {
  write(memory_, address.value, size, value);
}

}  // namespace shearling
