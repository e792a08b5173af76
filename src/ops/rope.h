#pragma once
// Rotary positions: the two frequency tables, angles, and the rotation.  docs/deepseek_v4.md, "Rotary positions".

#include <optional>
#include <vector>

#include "kernels/rope.h"

namespace temper {

/// YaRN: long wavelengths are stretched by `factor`, short ones kept, a ramp between.
struct Yarn {
  double factor = 16, original_length = 65536, beta_fast = 32, beta_slow = 1;
};

struct RopeConfig {
  int64_t rope_head_dim = 64;   // R
  double theta = 10000;
  std::optional<Yarn> yarn;
};

/// Frequency of each of the R/2 pairs, fp32: theta^(-2i/R), blended with itself / factor under YaRN.  No amplitude factor.
std::vector<float> rope_frequencies(const RopeConfig& config);

/// cos and sin of the fp32 products position * frequency.  positions [T] int64 -> [T, R/2] in the accumulate dtype of `dtype`.
Rotation make_rotation(const RopeConfig& config, const Tensor& positions, at::ScalarType dtype);

/// Turns the last R dims; `inverse` turns back (gradients of a turn are turned back).  x [T, ..., Dh] -> a new tensor.
Tensor rope(const Tensor& x, const Rotation& rotation, bool inverse = false);
/// The same in place.
void rope_(Tensor& x, const Rotation& rotation, bool inverse = false);

}  // namespace temper
