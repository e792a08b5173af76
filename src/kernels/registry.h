#pragma once
// The one place that chooses a kernel: by name and by the device of its tensors.  Layers above kernels/ call
// `kernel<RmsNorm>(x)(x, weight, eps)` and never ask for a device.
//
// A kernel is a tag type with a name and a function type (kernels/rms_norm.h); its versions register themselves:
//   reference/   plain composition of ATen operators: any device, differentiable.  The twin of all others.
//   meta/        shapes only, where the reference uses operators that meta tensors lack
//   cpu/         C++, compiled once for each instruction set (cpu/isa.h)
// A device without a version of its own gets the reference.  TEMPER_KERNELS=reference forces the reference everywhere.

#include <c10/core/DeviceType.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "tensor/profile.h"
#include "tensor/tensor.h"

namespace temper {

namespace detail {

using AnyFunction = void (*)();

struct KernelSlots {
  std::string name;
  AnyFunction reference = nullptr;
  std::array<AnyFunction, c10::COMPILE_TIME_MAX_DEVICE_TYPES> by_device{};
};

/// The entry of this name, made on first use.
KernelSlots& kernel_slots(const char* name);
/// The version for the device, else the reference; Error{kInternal} if there is neither.
AnyFunction choose(const KernelSlots& slots, c10::DeviceType device);

}  // namespace detail

/// A version of a kernel, to be called; its time goes to the work of that name where a profile is active.
template <class Signature>
class KernelCall;

template <class Result, class... Arguments>
class KernelCall<Result(Arguments...)> {
 public:
  KernelCall(const char* name, Result (*function)(Arguments...)) : name_(name), function_(function) {}

  Result operator()(Arguments... arguments) const {
    const ProfileWork work(name_);
    return function_(std::forward<Arguments>(arguments)...);
  }

 private:
  const char* name_;
  Result (*function_)(Arguments...);
};

/// The version of kernel K for tensors on the device of `on`.
template <class K>
KernelCall<typename K::Function> kernel(const Tensor& on) {
  static const detail::KernelSlots& slots = detail::kernel_slots(K::kName);
  return {K::kName, reinterpret_cast<typename K::Function*>(detail::choose(slots, on.device().type()))};
}

/// A static object of this type adds a version: `const ReferenceKernel<RmsNorm> registered{&reference::rms_norm};`
template <class K>
struct ReferenceKernel {
  explicit ReferenceKernel(typename K::Function* function) {
    detail::kernel_slots(K::kName).reference = reinterpret_cast<detail::AnyFunction>(function);
  }
};

/// `const DeviceKernel<RmsNorm> registered{c10::DeviceType::CPU, &cpu_rms_norm};`
template <class K>
struct DeviceKernel {
  DeviceKernel(c10::DeviceType device, typename K::Function* function) {
    detail::kernel_slots(K::kName).by_device[static_cast<size_t>(device)] = reinterpret_cast<detail::AnyFunction>(function);
  }
};

/// All kernels and the devices that have a version of their own, sorted by name.
struct KernelRow {
  std::string name;
  std::vector<c10::DeviceType> devices;
};
std::vector<KernelRow> registered_kernels();

}  // namespace temper
