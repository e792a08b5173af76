// Shapes only, for the kernels whose reference uses operators that libtorch lacks on meta tensors.

#include "kernels/moe.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

namespace temper {
namespace {

RouterScores route(const RouterArgs& args) {
  const int64_t T = args.logits.size(0);
  const Tensor ids = args.expert_ids.defined() ? args.expert_ids : at::empty({T, args.top_k}, args.logits.options().dtype(at::kLong));
  return {ids, at::empty({T, args.top_k}, args.logits.options())};
}

Tensor route_backward(const RouterBackwardArgs& args) { return at::empty_like(args.logits); }

const DeviceKernel<RouteKernel> route_registered{c10::DeviceType::Meta, &route};
const DeviceKernel<RouteBackwardKernel> route_backward_registered{c10::DeviceType::Meta, &route_backward};

}  // namespace
}  // namespace temper
