#pragma once
// Which instruction set the CPU kernels use, and how one source becomes three functions.
//
// cpu/isa/NAME.h declares       TEMPER_ISA_FUNCTION(rms_norm_rows, const RmsNormRows&, int64_t begin, int64_t end)
// cpu/isa/NAME.cpp defines it in `namespace temper::TEMPER_ISA_NAMESPACE`, serial, on raw pointers (cpu/isa/vector.h)
// cpu/NAME.cpp calls            TEMPER_ISA_PICK(rms_norm_rows)(rows, begin, end)   and does tensors and threads

#include <vector>

#include "kernels/cpu/isa/function.h"

namespace temper {

/// The one in use: choose_isa of the environment variable TEMPER_ISA, fixed at the first call.
Isa isa();
/// `wish` is plain, avx2, avx512 or avx512bf16; null or empty = the best of this CPU.
/// Error{kConfig} if it names something unknown or something this CPU lacks.
Isa choose_isa(const char* wish);
const char* isa_name(Isa isa);
std::vector<Isa> available_isas();

/// Tests run every kernel on every instruction set.  Not while kernels run.
class ForceIsa {
 public:
  explicit ForceIsa(Isa isa);
  ~ForceIsa();
  ForceIsa(const ForceIsa&) = delete;
  ForceIsa& operator=(const ForceIsa&) = delete;

 private:
  Isa previous_;
};

}  // namespace temper
