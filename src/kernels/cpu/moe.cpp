#include "kernels/moe.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <cstring>

#include "kernels/cpu/isa/moe.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

constexpr int64_t kGrainElements = 8192;   // fewer are not worth a second thread
int64_t grain(int64_t row_size) { return std::max<int64_t>(kGrainElements / std::max<int64_t>(row_size, 1), 1); }

// sqrt(softplus(l)) and its slope; below -40 softplus(l) is exp(l) to the last bit, and exp(l) itself may be 0 (kernels/moe.h).
template <class A>
A router_score(A l) {
  if (l < -40) return std::exp(l / 2);
  return std::sqrt(std::max(l, A{0}) + std::log1p(std::exp(-std::abs(l))));
}
template <class A>
A router_slope(A l, A score) {
  if (l < -40) return score / 2;
  return 1 / ((1 + std::exp(-l)) * 2 * score);
}

template <class A>
void route_tokens(const RouterArgs& args, const float* bias, const int64_t* given, int64_t* ids, A* weights, int64_t begin, int64_t end) {
  const int64_t E = args.logits.size(1), K = args.top_k;
  const A* logits = args.logits.const_data_ptr<A>();
  std::vector<A> scores(static_cast<size_t>(E)), best(static_cast<size_t>(K));
  for (int64_t t = begin; t < end; ++t) {
    int64_t* chosen = ids + t * K;
    for (int64_t e = 0; e < E; ++e) scores[static_cast<size_t>(e)] = router_score(logits[t * E + e]);
    if (given) {
      std::memcpy(chosen, given + t * K, static_cast<size_t>(K) * sizeof(int64_t));
    } else {
      int64_t n = 0;   // sorted by falling value; an equal value goes behind: ties to the lower index
      for (int64_t e = 0; e < E; ++e) {
        const A value = scores[static_cast<size_t>(e)] + (bias ? static_cast<A>(bias[e]) : A{0});
        if (n == K && !(value > best[static_cast<size_t>(K - 1)])) continue;
        int64_t at = n < K ? n++ : K - 1;
        for (; at > 0 && value > best[static_cast<size_t>(at - 1)]; --at) {
          best[static_cast<size_t>(at)] = best[static_cast<size_t>(at - 1)];
          chosen[at] = chosen[at - 1];
        }
        best[static_cast<size_t>(at)] = value;
        chosen[at] = e;
      }
    }
    A sum = 0;
    for (int64_t k = 0; k < K; ++k) sum += scores[static_cast<size_t>(chosen[k])];
    const A factor = static_cast<A>(args.routed_scale) / std::max(sum, static_cast<A>(1e-37));
    for (int64_t k = 0; k < K; ++k) weights[t * K + k] = factor * scores[static_cast<size_t>(chosen[k])];
  }
}

RouterScores route(const RouterArgs& given) {
  const Tensor logits = given.logits.contiguous(), table = given.expert_ids.defined() ? given.expert_ids.contiguous() : Tensor();
  const Tensor bias = given.bias.defined() ? dense(given.bias, at::kFloat) : Tensor();
  const int64_t T = logits.size(0), K = table.defined() ? table.size(1) : given.top_k;
  const RouterArgs args{.logits = logits, .bias = bias, .expert_ids = table, .top_k = K, .routed_scale = given.routed_scale};
  RouterScores result{at::empty({T, K}, logits.options().dtype(at::kLong)), at::empty({T, K}, logits.options())};
  const float* bias_data = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  const int64_t* table_data = table.defined() ? table.const_data_ptr<int64_t>() : nullptr;
  int64_t* ids = result.expert_ids.mutable_data_ptr<int64_t>();
  parallel_pieces(T, grain(64 * logits.size(1)), [&](int64_t, int64_t begin, int64_t end) {
    if (logits.scalar_type() == at::kDouble) route_tokens(args, bias_data, table_data, ids, result.weights.mutable_data_ptr<double>(), begin, end);
    else route_tokens(args, bias_data, table_data, ids, result.weights.mutable_data_ptr<float>(), begin, end);
  });
  return result;
}

template <class A>
void route_backward_tokens(const Tensor& grad, const Tensor& logits, const Tensor& expert_ids, double routed_scale, const Tensor& out) {
  const int64_t T = logits.size(0), E = logits.size(1), K = expert_ids.size(1);
  const A *g = grad.const_data_ptr<A>(), *l = logits.const_data_ptr<A>();
  const int64_t* ids = expert_ids.const_data_ptr<int64_t>();
  A* result = out.mutable_data_ptr<A>();
  parallel_pieces(T, grain(32 * K), [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      A z = 0, dot = 0;
      for (int64_t k = 0; k < K; ++k) {
        const A s = router_score(l[t * E + ids[t * K + k]]);
        z += s;
        dot += s * g[t * K + k];
      }
      z = std::max(z, static_cast<A>(1e-37));
      for (int64_t k = 0; k < K; ++k) {
        const A logit = l[t * E + ids[t * K + k]];
        result[t * E + ids[t * K + k]] = static_cast<A>(routed_scale) / z * (g[t * K + k] - dot / z) * router_slope(logit, router_score(logit));
      }
    }
  });
}

Tensor route_backward(const RouterBackwardArgs& args) {
  const Tensor logits = args.logits.contiguous(), grad = args.grad_weights.contiguous(), ids = args.expert_ids.contiguous();
  Tensor out = at::zeros_like(logits);
  if (logits.scalar_type() == at::kDouble) route_backward_tokens<double>(grad, logits, ids, args.routed_scale, out);
  else route_backward_tokens<float>(grad, logits, ids, args.routed_scale, out);
  return out;
}

Tensor dispatch(const RoutePlan& plan, const Tensor& x_any) {
  const Tensor x = x_any.contiguous();
  const int64_t n_rows = plan.row2slot.size(0), K = plan.top_k;
  Tensor rows = at::empty({n_rows, x.size(1)}, x.options());
  const size_t row_bytes = static_cast<size_t>(x.size(1)) * x.element_size();
  const char* from = static_cast<const char*>(x.const_data_ptr());
  char* to = static_cast<char*>(rows.data_ptr());
  const int64_t* row2slot = plan.row2slot.const_data_ptr<int64_t>();
  parallel_pieces(n_rows, grain(x.size(1)), [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      std::memcpy(to + static_cast<size_t>(row) * row_bytes, from + static_cast<size_t>(row2slot[row] / K) * row_bytes, row_bytes);
  });
  return rows;
}

Tensor combine(const RoutePlan& plan, const Tensor& rows_any, const Tensor& extra_any) {
  const Tensor rows = rows_any.contiguous(), extra = extra_any.defined() ? extra_any.contiguous() : Tensor();
  Tensor out = at::empty({plan.n_tokens, rows.size(1)}, rows.options());
  const CombineRows a{.element = element_of(rows), .extra_element = element_of(extra.defined() ? extra : rows), .D = rows.size(1), .K = plan.top_k,
                      .slot2row = plan.slot2row.const_data_ptr<int64_t>(), .rows = rows.const_data_ptr(),
                      .extra = extra.defined() ? extra.const_data_ptr() : nullptr, .out = out.data_ptr()};
  parallel_pieces(plan.n_tokens, grain(a.D * a.K), [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(combine_rows)(a, begin, end); });
  return out;
}

const void* pointer(const Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr() : nullptr; }

Tensor swiglu(const Tensor& gate_up_any, const Tensor& weights_any, double limit) {
  const Tensor gate_up = gate_up_any.contiguous(), weights = weights_any.defined() ? weights_any.contiguous() : Tensor();
  const int64_t N = gate_up.size(0), F = gate_up.size(1) / 2;
  Tensor out = at::empty({N, F}, gate_up.options());
  const SwigluRows a{.element = element_of(gate_up), .F = F, .limit = limit, .gate_up = gate_up.const_data_ptr(), .row_weights = pointer(weights),
                     .out = out.data_ptr(), .grad = nullptr, .grad_gate_up = nullptr, .grad_row_weights = nullptr};
  parallel_pieces(N, grain(4 * F), [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(swiglu_rows)(a, begin, end); });
  return out;
}

SwigluGrad swiglu_backward(const Tensor& grad_any, const Tensor& gate_up_any, const Tensor& weights_any, double limit) {
  const Tensor grad = grad_any.contiguous(), gate_up = gate_up_any.contiguous(), weights = weights_any.defined() ? weights_any.contiguous() : Tensor();
  const int64_t N = gate_up.size(0), F = gate_up.size(1) / 2;
  SwigluGrad result{at::empty(gate_up.sizes(), gate_up.options()), weights.defined() ? at::empty(weights.sizes(), weights.options()) : Tensor()};
  const SwigluRows a{.element = element_of(gate_up), .F = F, .limit = limit, .gate_up = gate_up.const_data_ptr(), .row_weights = pointer(weights), .out = nullptr,
                     .grad = grad.const_data_ptr(), .grad_gate_up = result.gate_up.data_ptr(),
                     .grad_row_weights = weights.defined() ? result.row_weights.data_ptr() : nullptr};
  parallel_pieces(N, grain(4 * F), [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(swiglu_backward_rows)(a, begin, end); });
  return result;
}

const DeviceKernel<RouteKernel> route_registered{c10::DeviceType::CPU, &route};
const DeviceKernel<RouteBackwardKernel> route_backward_registered{c10::DeviceType::CPU, &route_backward};
const CpuKernel<DispatchKernel, &dispatch> dispatch_registered;
const CpuKernel<CombineKernel, &combine> combine_registered;
const CpuKernel<SwigluKernel, &swiglu> swiglu_registered;
const CpuKernel<SwigluBackwardKernel, &swiglu_backward> swiglu_backward_registered;

}  // namespace
}  // namespace temper
