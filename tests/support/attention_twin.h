#pragma once
// The attention sub-layer written the slow and obvious way, document by document, with full score matrices and loops over
// entries; differentiable by ATen's autograd.  Shares no code with ops/ or kernels/ but the structs.

#include "ops/attention.h"

namespace temper::test {

/// One layer to try.
struct AttentionCase {
  AttentionConfig config;
  std::vector<int64_t> document_lengths;
  RopeConfig main, compress;
  AttentionContext context(at::ScalarType dtype, c10::Device device = c10::DeviceType::CPU) const;
  int64_t n_tokens() const;
};

/// hidden 24, 4 heads of 16 (8 rotated), window 5, low ranks 12 and 6, 2 groups, indexer 16 x 8 with top 3.
AttentionCase small_case(int64_t ratio, std::vector<int64_t> document_lengths);

/// Random weights of the case; gradients zero (accumulate dtype) or undefined.
AttentionWeights random_weights(const AttentionConfig& config, at::ScalarType dtype, bool trained = true);
/// name -> weight, released names without the "attn." prefix.
std::vector<std::pair<std::string, Weight*>> named_weights(AttentionWeights& weights);

struct TwinResult {
  Tensor out;            // [T, D]
  Tensor indexer_loss;   // scalar, sum over queries that see an entry; undefined for other ratios than 4
};
/// Uses weights.*.value (which may require gradients).  `fp4`: the indexer's queries and keys through FP4.
TwinResult attention_twin(const Tensor& u, const AttentionWeights& weights, const AttentionCase& attention_case, bool fp4 = false);

}  // namespace temper::test
