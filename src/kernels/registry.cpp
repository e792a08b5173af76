#include "kernels/registry.h"

#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>

#include "base/error.h"

namespace temper {
namespace {

struct Table {
  std::mutex mutex;
  std::map<std::string, detail::KernelSlots, std::less<>> rows;   // nodes never move
};

Table& table() {
  static auto* instance = new Table;   // registration runs before main, in any order
  return *instance;
}

bool reference_only() {
  static const bool forced = [] {
    const char* wish = std::getenv("TEMPER_KERNELS");
    return wish != nullptr && std::string_view(wish) == "reference";
  }();
  return forced;
}

}  // namespace

detail::KernelSlots& detail::kernel_slots(const char* name) {
  const std::lock_guard lock(table().mutex);
  detail::KernelSlots& slots = table().rows[name];
  slots.name = name;
  return slots;
}

detail::AnyFunction detail::choose(const KernelSlots& slots, c10::DeviceType device) {
  const AnyFunction own = slots.by_device[static_cast<size_t>(device)];
  if (own != nullptr && (!reference_only() || device == c10::DeviceType::Meta)) return own;   // few references run on meta
  if (slots.reference != nullptr) return slots.reference;
  throw Error({.kind = ErrorKind::kInternal,
               .what = fmt::format("kernel {} has no version for {} and no reference", slots.name, c10::DeviceTypeName(device, true)),
               .where = "kernel registry",
               .fix = "run on another device, and please report it"});
}

std::vector<KernelRow> registered_kernels() {
  const std::lock_guard lock(table().mutex);
  std::vector<KernelRow> rows;
  for (const auto& [name, slots] : table().rows) {
    KernelRow row{name, {}};
    for (size_t device = 0; device < slots.by_device.size(); ++device)
      if (slots.by_device[device] != nullptr) row.devices.push_back(static_cast<c10::DeviceType>(device));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace temper
