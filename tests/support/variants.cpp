#include "support/variants.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <cmath>

namespace temper::test {
namespace {

bool is_scale(const std::string& name) { return name.ends_with(".scale"); }

std::string without(const std::string& name, std::string_view ending) { return name.substr(0, name.size() - ending.size()); }

const Tensor* find(const Named& tensors, const std::string& name) {
  for (const auto& [n, tensor] : tensors)
    if (n == name) return &tensor;
  return nullptr;
}

int largest_exponent(const Tensor& scales) { return scales.view(at::kByte).max().item<int>() - 127; }

// E4M3 of 2^exponent; exponents -6..8 are normal numbers, -9..-7 denormal ones.
uint8_t e4m3_power(int exponent) {
  EXPECT_GE(exponent, -9);
  EXPECT_LE(exponent, 8);
  return static_cast<uint8_t>(exponent >= -6 ? (exponent + 7) << 3 : 1 << (exponent + 9));
}

Tensor nvfp4_scales(const Tensor& e8m0, int64_t n_columns, int G) {
  const Tensor bytes = e8m0.view(at::kByte).contiguous();
  Tensor scales = at::empty({bytes.size(0), n_columns / 16}, at::kByte);
  for (int64_t r = 0; r < scales.size(0); ++r)
    for (int64_t c = 0; c < scales.size(1); ++c)
      scales.data_ptr<uint8_t>()[r * scales.size(1) + c] = e4m3_power(static_cast<int>(bytes.data_ptr<uint8_t>()[r * bytes.size(1) + c / 2]) - 127 + G);
  return scales.view(at::ScalarType::Float8_e4m3fn);
}

}  // namespace

Tensor& tensor_of(Named& tensors, const std::string& name) {
  for (auto& [n, tensor] : tensors)
    if (n == name) return tensor;
  ADD_FAILURE() << name;
  return tensors.front().second;
}

Named renamed(const Named& tensors, const std::function<std::string(const std::string&)>& rename) {
  Named result;
  for (const auto& [name, tensor] : tensors)
    if (std::string to = rename(name); !to.empty()) result.emplace_back(std::move(to), tensor);
  return result;
}

std::string mixed_dialect_name(const std::string& released) {
  if (released == "embed.weight") return "model.embed_tokens.weight";
  if (released == "head.weight") return "lm_head.weight";
  if (released.starts_with("hc_head_")) return "model.hc_head.hc_" + released.substr(8);
  return released == "norm.weight" ? "model.norm.weight" : released;
}

Named with_u8_scales(Named tensors) {
  for (auto& [name, tensor] : tensors)
    if (tensor.scalar_type() == at::ScalarType::Float8_e8m0fnu) tensor = tensor.view(at::kByte);
  return tensors;
}

Named as_bf16(const Named& tensors, const std::function<Tensor(const std::string& name)>& read) {
  Named result;
  for (const auto& [name, tensor] : tensors) {
    if (is_scale(name)) continue;
    const Tensor value = read(name);
    result.emplace_back(name, value.scalar_type() == at::kLong ? value : value.to(at::kBFloat16));
  }
  return result;
}

Named as_nvfp4(const Named& tensors) {
  Named result;
  for (const auto& [name, tensor] : tensors) {
    const bool expert = name.starts_with("layers.") && name.find(".experts.") != std::string::npos && name.find("shared") == std::string::npos;
    if (!expert) {
      result.emplace_back(name, tensor);
      continue;
    }
    if (is_scale(name)) continue;
    const std::string stem = without(name, ".weight");
    const auto scale = [&](const std::string& of) { return *find(tensors, of + ".scale"); };
    int largest = largest_exponent(scale(stem));
    if (stem.ends_with("w1") || stem.ends_with("w3"))
      for (const char* which : {"w1", "w3"}) largest = std::max(largest, largest_exponent(scale(stem.substr(0, stem.size() - 2) + which)));
    const int G = 8 - largest;
    result.emplace_back(name, tensor.view(at::kByte));
    result.emplace_back(stem + ".weight_scale", nvfp4_scales(scale(stem), 2 * tensor.size(1), G));
    result.emplace_back(stem + ".weight_scale_2", at::full({}, std::ldexp(1.0, -G), at::kFloat));
    result.emplace_back(stem + ".input_scale", at::full({}, 1.0, at::kFloat));
  }
  return result;
}

}  // namespace temper::test
