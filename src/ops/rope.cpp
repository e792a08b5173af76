#include "ops/rope.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/sin.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace temper {

std::vector<float> rope_frequencies(const RopeConfig& config) {
  const double R = static_cast<double>(config.rope_head_dim);
  // The dim whose pair makes `rotations` turns within the original length.
  const auto dim_of = [&](double rotations) {
    return R * std::log(config.yarn->original_length / (2 * std::numbers::pi * rotations)) / (2 * std::log(config.theta));
  };
  std::vector<float> frequencies;
  for (int64_t i = 0; i < config.rope_head_dim / 2; ++i) {
    const double base = std::pow(config.theta, -2.0 * static_cast<double>(i) / R);
    if (!config.yarn) {
      frequencies.push_back(static_cast<float>(base));
      continue;
    }
    const double low = std::max(std::floor(dim_of(config.yarn->beta_fast)), 0.0);
    double high = std::min(std::ceil(dim_of(config.yarn->beta_slow)), R - 1);
    if (high == low) high += 0.001;
    const double kept = 1 - std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    frequencies.push_back(static_cast<float>(base / config.yarn->factor * (1 - kept) + base * kept));
  }
  return frequencies;
}

Rotation make_rotation(const RopeConfig& config, const Tensor& positions, at::ScalarType dtype) {
  const std::vector<float> frequencies = rope_frequencies(config);
  Tensor row = at::empty({static_cast<int64_t>(frequencies.size())}, at::kFloat);
  std::copy(frequencies.begin(), frequencies.end(), row.mutable_data_ptr<float>());
  const Tensor angles = positions.to(at::kFloat).unsqueeze(-1) * row.to(positions.device());   // fp32 as released weights expect
  const Tensor wide = angles.to(accumulate_dtype(dtype));
  return {at::cos(wide), at::sin(wide)};
}

Tensor rope(const Tensor& x, const Rotation& rotation, bool inverse) {
  Tensor out = at::empty_like(x, x.options(), at::MemoryFormat::Contiguous);
  kernel<Rope>(x)(x, rotation, inverse, out);
  return out;
}

void rope_(Tensor& x, const Rotation& rotation, bool inverse) { kernel<Rope>(x)(x, rotation, inverse, x); }

}  // namespace temper
