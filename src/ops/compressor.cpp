#include "ops/compressor.h"

#include "ops/linear.h"
#include "ops/rms_norm.h"

namespace temper {

CompressorProjection compressor_project(const Tensor& u, const CompressorWeights& weights) {
  return {linear_wide(u, weights.wkv.value), linear_wide(u, weights.wgate.value)};
}

CompressorPlan make_compressor_plan(const EntryTable& table, const RopeConfig& rope, at::ScalarType dtype) {
  return {.rows = {.ratio = table.ratio, .overlap = pools_overlap(table.ratio), .first_token = table.first_token, .previous = table.previous},
          .rotation = make_rotation(rope, table.positions, dtype)};
}

CompressorEntries compressor_entries(const CompressorProjection& projection, const CompressorWeights& weights, const PoolRows& rows,
                                     const Rotation& rotation, double eps, at::ScalarType dtype) {
  CompressorEntries out;
  // The pooled value is rounded to the compute dtype before its norm, as in the released model's code.
  out.pooled = kernel<CompressorPool>(projection.values)(projection.values, projection.gates, weights.ape.value, rows);
  RmsNormed normed = rms_norm(out.pooled.to(dtype), weights.norm.value, eps);
  rope_(normed.y, rotation);
  out.entries = normed.y;
  out.pooled_rstd = normed.rstd;
  return out;
}

std::pair<Tensor, CompressorSaved> compressor(const Tensor& u, const CompressorWeights& weights, const CompressorPlan& plan, double eps) {
  const CompressorProjection projection = compressor_project(u, weights);
  const CompressorEntries out = compressor_entries(projection, weights, plan.rows, plan.rotation, eps, u.scalar_type());
  return {out.entries, CompressorSaved{projection, out.pooled, out.pooled_rstd}};
}

void compressor_backward(const Tensor& grad_entries, const Tensor& u, const CompressorWeights& weights, const CompressorPlan& plan,
                         const CompressorSaved& saved, Tensor& grad_u_sum) {
  const Tensor grad_normed = rope(grad_entries.to(u.scalar_type()), plan.rotation, /*inverse=*/true);
  const Tensor grad_pooled = rms_norm_backward(grad_normed, saved.pooled.to(u.scalar_type()), saved.pooled_rstd, weights.norm);
  const auto& [values, gates] = saved.projection;
  const PoolGrads grads = kernel<CompressorPoolBackward>(u)(to_accumulate(grad_pooled), values, gates, weights.ape.value, saved.pooled, plan.rows,
                                                            weights.ape.grad_sum());
  for (const auto& [grad, weight] : {std::pair{grads.values, &weights.wkv}, std::pair{grads.gates, &weights.wgate}}) {
    if (grad_u_sum.defined())
      linear_backward_into(grad, u, *weight, grad_u_sum);
    else
      linear_backward_weight(grad, u, *weight);
  }
}

}  // namespace temper
