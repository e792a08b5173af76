#include "optim/router_bias.h"

#include <ATen/ops/mean.h>
#include <ATen/ops/sign.h>

namespace temper {

void update_router_bias(Tensor& bias, const Tensor& load, double speed) {
  expect_same_shape("update_router_bias", {bias, load});
  const Tensor counts = load.to(at::kDouble);   // exact: a mean in float32 could flip a sign
  bias.add_(at::sign(counts.mean().sub(counts)).to(bias.scalar_type()), speed);
}

}  // namespace temper
