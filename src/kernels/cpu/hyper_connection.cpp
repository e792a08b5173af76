#include "kernels/hyper_connection.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <tuple>

#include "kernels/cpu/isa/hyper_connection.h"
#include "kernels/cpu/isa/rms_norm.h"
#include "kernels/cpu/parallel.h"
#include "kernels/rms_norm.h"

namespace temper {
namespace {

constexpr int64_t kGrainElements = 8192;   // of the streams: fewer are not worth a second thread

bool fits(int64_t M) { return M >= 1 && M <= kHcMaxMult; }
int64_t grain(const HcRows& rows) { return std::max<int64_t>(kGrainElements / (rows.M * rows.D), 1); }

// Scratch of each part, rows on 64-byte borders.
Tensor part_scratch(int64_t parts, int64_t bytes) {
  const int64_t row = (bytes + 63) / 64 * 64;
  return kernel_scratch(parts * row).view({parts, row});
}
void* scratch_of(const Tensor& scratch, int64_t part) { return static_cast<char*>(scratch.data_ptr()) + part * scratch.size(1); }

HcRows make_rows(const Tensor& streams) {
  HcRows rows{};
  rows.element = element_of(streams);
  rows.M = streams.size(1);
  rows.D = streams.size(2);
  rows.streams = streams.const_data_ptr();
  return rows;
}

void set_config(HcRows& rows, const HcConfig& config, const HcTensors& weights) {
  rows.C = weights.fn.size(0);
  rows.sinkhorn_iters = config.sinkhorn_iters;
  rows.hc_eps = config.hc_eps;
  rows.rms_norm_eps = config.rms_norm_eps;
  rows.fn = weights.fn.const_data_ptr();
  rows.base = weights.base.const_data_ptr();
  rows.scale = weights.scale.const_data_ptr();
}

// What hc_pre_rows writes.
HcPre make_pre(HcRows& rows, const Tensor& streams, const HcTensors& weights, const HcConfig& config, bool head) {
  const int64_t T = streams.size(0), C = weights.fn.size(0);
  set_config(rows, config, weights);
  rows.head = head;
  HcPre result{at::empty({T, rows.D}, streams.options()),
               {at::empty({T}, weights.fn.options()), at::empty({T, C}, weights.fn.options()), at::empty({T, C}, weights.fn.options())}};
  rows.y = result.y.data_ptr();
  rows.inv_rms = result.saved.inv_rms.data_ptr();
  rows.mix = result.saved.mix.data_ptr();
  rows.coefficients = result.saved.coefficients.data_ptr();
  return result;
}

Tensor pre_scratch(const HcRows& rows, int64_t n_tokens) {
  int64_t bytes = 0;
  TEMPER_ISA_PICK(hc_pre_scratch)(rows, bytes);
  return part_scratch(count_parts(n_tokens, grain(rows)), bytes);
}

HcRows make_post(const Tensor& streams, const Tensor& out, const Tensor& coefficients, const Tensor& next) {
  HcRows rows = make_rows(streams);
  rows.C = coefficients.size(1);
  rows.out = out.const_data_ptr();
  rows.coefficients = coefficients.data_ptr();
  rows.next = next.data_ptr();
  return rows;
}

HcPre pre(const Tensor& streams_any, const HcTensors& weights, const HcConfig& config, bool head) {
  if (!fits(config.hc_mult)) return reference::hc_pre(streams_any, weights, config, head);
  const Tensor streams = streams_any.contiguous();
  const int64_t T = streams.size(0);
  HcRows rows = make_rows(streams);
  HcPre result = make_pre(rows, streams, weights, config, head);
  const Tensor scratch = pre_scratch(rows, T);
  parallel_parts(T, grain(rows), [&](int64_t part, int64_t begin, int64_t end) { TEMPER_ISA_PICK(hc_pre_rows)(rows, scratch_of(scratch, part), begin, end); });
  return result;
}

Tensor post(const Tensor& streams_any, const Tensor& out_any, const Tensor& coefficients) {
  if (!fits(streams_any.size(1))) return reference::hc_post(streams_any, out_any, coefficients);
  const Tensor streams = streams_any.contiguous(), out = out_any.contiguous();
  Tensor next = at::empty(streams.sizes(), streams.options());
  const HcRows rows = make_post(streams, out, coefficients, next);
  parallel_pieces(streams.size(0), grain(rows), [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(hc_post_rows)(rows, begin, end); });
  return next;
}

// Every token's rows go through all three steps on one thread.
HcNext next_site(const HcNextArgs& args) {
  if (!fits(args.config.hc_mult)) {
    HcNext next{.streams = post(args.streams, args.out, args.coefficients), .pre = {}, .u = {}, .rstd = {}};
    next.pre = pre(next.streams, args.weights, args.config, /*head=*/false);
    std::tie(next.u, next.rstd) = kernel<RmsNorm>(next.pre.y)(next.pre.y, args.norm, args.config.rms_norm_eps);
    return next;
  }
  const Tensor streams = args.streams.contiguous(), out = args.out.contiguous(), norm = dense(args.norm, args.weights.fn.scalar_type());
  const int64_t T = streams.size(0);
  HcNext next{.streams = at::empty(streams.sizes(), streams.options()), .pre = {}, .u = at::empty(out.sizes(), out.options()), .rstd = at::empty({T}, args.weights.fn.options())};
  const HcRows post_rows = make_post(streams, out, args.coefficients, next.streams);
  HcRows pre_rows = make_rows(next.streams);
  next.pre = make_pre(pre_rows, next.streams, args.weights, args.config, /*head=*/false);
  const RmsNormRows norm_rows{.element = post_rows.element, .size = pre_rows.D, .eps = args.config.rms_norm_eps, .x = next.pre.y.const_data_ptr(),
                              .weight = norm.const_data_ptr(), .y = next.u.data_ptr(), .rstd = next.rstd.data_ptr(), .grad_y = nullptr, .grad_x = nullptr};
  const Tensor scratch = pre_scratch(pre_rows, T);
  parallel_parts(T, grain(pre_rows), [&](int64_t part, int64_t begin, int64_t end) {
    TEMPER_ISA_PICK(hc_post_rows)(post_rows, begin, end);
    TEMPER_ISA_PICK(hc_pre_rows)(pre_rows, scratch_of(scratch, part), begin, end);
    TEMPER_ISA_PICK(rms_norm_rows)(norm_rows, begin, end);
  });
  return next;
}

HcPostGrad post_backward(const Tensor& grad_any, const Tensor& streams_any, const Tensor& out_any, const Tensor& coefficients) {
  if (!fits(streams_any.size(1))) return reference::hc_post_backward(grad_any, streams_any, out_any, coefficients);
  const Tensor grad_next = grad_any.contiguous(), streams = streams_any.contiguous(), out = out_any.contiguous();
  HcPostGrad grads{at::empty(out.sizes(), out.options()), at::empty(coefficients.sizes(), coefficients.options())};
  HcRows rows = make_rows(streams);
  rows.C = coefficients.size(1);
  rows.out = out.const_data_ptr();
  rows.coefficients = coefficients.data_ptr();
  rows.grad_next = grad_next.const_data_ptr();
  rows.grad_out = grads.out.data_ptr();
  rows.grad_coefficients = grads.coefficients.data_ptr();
  parallel_pieces(streams.size(0), grain(rows), [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(hc_post_backward_rows)(rows, begin, end); });
  return grads;
}

// One part's sums after the other.
template <class A>
void add_base_and_scale(const HcRows& rows, const Tensor& sums, A* grad_base, A* grad_scale) {
  if (shapes_only()) return;
  const double* of_part = sums.const_data_ptr<double>();   // [parts, 2, C]
  double scale[3] = {};
  for (int64_t c = 0; c < rows.C; ++c) {
    double base = 0;
    for (int64_t part = 0; part < sums.size(0); ++part) {
      base += of_part[(2 * part) * rows.C + c];
      scale[c < rows.M ? 0 : c < 2 * rows.M ? 1 : 2] += of_part[(2 * part + 1) * rows.C + c];
    }
    grad_base[c] = static_cast<A>(base);
  }
  for (int part = 0; part < (rows.head ? 1 : 3); ++part) grad_scale[part] = static_cast<A>(scale[part]);
}

HcPreGrad pre_backward(const HcPreBackwardArgs& args) {
  if (!fits(args.config.hc_mult)) return reference::hc_pre_backward(args);
  const bool head = !args.grad_streams.defined();
  const Tensor streams = args.streams.contiguous(), grad_y = args.grad_y.contiguous();
  const Tensor grad_next = head ? Tensor() : args.grad_streams.contiguous();
  const int64_t T = streams.size(0);
  HcRows rows = make_rows(streams);
  set_config(rows, args.config, args.weights);
  rows.head = head;
  rows.inv_rms = args.saved.inv_rms.data_ptr();
  rows.mix = args.saved.mix.data_ptr();
  rows.coefficients = args.saved.coefficients.data_ptr();
  rows.grad_y = grad_y.const_data_ptr();
  if (!head) {
    rows.grad_next = grad_next.const_data_ptr();
    rows.grad_coefficients = args.grad_coefficients.data_ptr();
  }
  HcPreGrad grads{at::empty(streams.sizes(), streams.options()), {}, {}, {}};
  rows.grad_streams = grads.streams.data_ptr();

  const int64_t parts = count_parts(T, grain(rows));
  Tensor fn_parts, sums;   // of each part
  if (args.weight_grads) {
    fn_parts = at::empty({parts, rows.C, rows.M * rows.D}, args.weights.fn.options());
    sums = at::empty({parts, 2, rows.C}, args.weights.fn.options().dtype(at::kDouble));
  }
  int64_t scratch_bytes = 0;
  TEMPER_ISA_PICK(hc_pre_backward_scratch)(rows, scratch_bytes);
  const Tensor scratch = part_scratch(parts, scratch_bytes);
  parallel_parts(T, grain(rows), [&](int64_t part, int64_t begin, int64_t end) {
    HcRows own = rows;
    if (args.weight_grads) {
      own.grad_fn = static_cast<char*>(fn_parts.data_ptr()) + part * rows.C * rows.M * rows.D * static_cast<int64_t>(fn_parts.element_size());
      own.grad_base = sums.mutable_data_ptr<double>() + 2 * part * rows.C;
      own.grad_mix = own.grad_base + rows.C;
    }
    TEMPER_ISA_PICK(hc_pre_backward_rows)(own, scratch_of(scratch, part), begin, end);
  });
  if (!args.weight_grads) return grads;
  grads.fn = fn_parts[0];
  for (int64_t part = 1; part < parts; ++part) grads.fn.add_(fn_parts[part]);
  grads.base = at::empty_like(args.weights.base);
  grads.scale = at::empty_like(args.weights.scale);
  if (rows.element == Element::kDouble) add_base_and_scale(rows, sums, grads.base.data_ptr<double>(), grads.scale.data_ptr<double>());
  else add_base_and_scale(rows, sums, grads.base.data_ptr<float>(), grads.scale.data_ptr<float>());
  return grads;
}

const CpuKernel<HcPreKernel, &pre> pre_registered;
const CpuKernel<HcNextKernel, &next_site> next_registered;
const CpuKernel<HcPostKernel, &post> post_registered;
const CpuKernel<HcPostBackwardKernel, &post_backward> post_backward_registered;
const CpuKernel<HcPreBackwardKernel, &pre_backward> pre_backward_registered;

}  // namespace
}  // namespace temper
