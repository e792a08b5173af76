#pragma once
// How a kernel of cpu/ is registered: for the CPU, and for `meta`, where it allocates what it would on the CPU and computes nothing.  That is
// how the memory of a run is counted before it (docs/memory.md).  A kernel whose sizes depend on values has a version of its own in meta/.

#include <utility>

#include "kernels/registry.h"

namespace temper {

namespace detail {

/// While it lives, parallel_parts and its like (kernels/cpu/parallel.h) call no body on this thread.
class ShapesOnly {
 public:
  ShapesOnly();
  ~ShapesOnly();
  ShapesOnly(const ShapesOnly&) = delete;
  ShapesOnly& operator=(const ShapesOnly&) = delete;

 private:
  bool previous_;
};

template <auto kFunction>
struct OnMeta;
template <class Result, class... Arguments, Result (*kFunction)(Arguments...)>
struct OnMeta<kFunction> {
  static Result call(Arguments... arguments) {
    const ShapesOnly shapes_only;
    return kFunction(std::forward<Arguments>(arguments)...);
  }
};

}  // namespace detail

/// True inside a CPU kernel that was called for tensors on `meta`: their memory must not be read.
bool shapes_only();

/// Bytes for the time of one kernel call: at::empty({bytes}, at::kByte), on `meta` inside a kernel called for it.
Tensor kernel_scratch(int64_t bytes);

/// `const CpuKernel<RmsNorm, &cpu_rms_norm> registered;` adds the version for the CPU and for `meta`.
template <class K, auto kFunction>
struct CpuKernel {
  CpuKernel() {
    const DeviceKernel<K> cpu{c10::DeviceType::CPU, kFunction};
    const DeviceKernel<K> meta{c10::DeviceType::Meta, &detail::OnMeta<kFunction>::call};
  }
};

}  // namespace temper
