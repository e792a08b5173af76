#pragma once
// Compresses a document's tokens into entries of `ratio` tokens each.  docs/deepseek_v4.md, "Compressed entries".

#include "kernels/compressor.h"
#include "ops/document_layout.h"
#include "ops/rope.h"
#include "tensor/weight.h"

namespace temper {

/// Under their released names.  C = 2 for ratio 4 (pools overlap), else 1; Dh = width of an entry.
struct CompressorWeights {
  Weight wkv, wgate;   // [C*Dh, D]
  Weight ape;          // [ratio, C*Dh]
  Weight norm;         // [Dh]
};

/// Only ratio 4 pools two blocks.
inline bool pools_overlap(int64_t ratio) { return ratio == 4; }

struct CompressorProjection {
  Tensor values, gates;   // [T, C*Dh] accumulate dtype
};
/// One row for each token, independent of its neighbours (decoding keeps the rows of the last blocks).
CompressorProjection compressor_project(const Tensor& u, const CompressorWeights& weights);

/// Pools rows into entries, normalises and rotates them.  -> entries [N, Dh] in `dtype`
struct CompressorSaved {
  CompressorProjection projection;
  Tensor pooled;        // [N, Dh] accumulate dtype
  Tensor pooled_rstd;   // [N]
};
struct CompressorEntries {
  Tensor entries;
  Tensor pooled, pooled_rstd;
};
CompressorEntries compressor_entries(const CompressorProjection& projection, const CompressorWeights& weights, const PoolRows& rows,
                                     const Rotation& rotation, double eps, at::ScalarType dtype);

/// How the entries of a layout are pooled and rotated: made once for all layers of a ratio.
struct CompressorPlan {
  PoolRows rows;
  Rotation rotation;   // at the entries' first tokens
};
CompressorPlan make_compressor_plan(const EntryTable& table, const RopeConfig& rope, at::ScalarType dtype);

/// u [T, D] -> entries [N, Dh] as u.
std::pair<Tensor, CompressorSaved> compressor(const Tensor& u, const CompressorWeights& weights, const CompressorPlan& plan, double eps);

/// Adds to the weights' gradients and, where it is defined, to grad_u_sum [T, D] (accumulate dtype).
void compressor_backward(const Tensor& grad_entries, const Tensor& u, const CompressorWeights& weights, const CompressorPlan& plan,
                         const CompressorSaved& saved, Tensor& grad_u_sum);

}  // namespace temper
