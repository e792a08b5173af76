#include "kernels/cpu/parallel.h"

#include <fmt/format.h>

#include "base/error.h"

namespace temper {

Element element_of(const Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat: return Element::kFloat;
    case at::kBFloat16: return Element::kBFloat16;
    case at::kDouble: return Element::kDouble;
    default:
      throw Error({.kind = ErrorKind::kInternal,
                   .what = fmt::format("a CPU kernel was given {}, it knows float32, bfloat16 and float64", dtype_name(tensor.scalar_type())),
                   .where = "",
                   .fix = "a caller passes a wrong tensor: please report it"});
  }
}

}  // namespace temper
