#include "support/attention_twin.h"

#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/complex.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/view_as_complex.h>
#include <ATen/ops/view_as_real.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "support/tensors.h"

namespace temper::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor norm(const Tensor& x, const Tensor& weight, double eps) {
  const Tensor y = x / at::sqrt((x * x).mean(-1, true) + eps);
  return weight.defined() ? y * weight : y;
}

// Pair by pair as complex numbers.  x [n, heads, dim], positions one per row.
Tensor rotate(const Tensor& x, const std::vector<int64_t>& positions, const RopeConfig& rope, double sign) {
  const std::vector<float> frequencies = rope_frequencies(rope);
  const int64_t half = static_cast<int64_t>(frequencies.size()), start = x.size(-1) - 2 * half;
  Tensor angle = at::empty({static_cast<int64_t>(positions.size()), 1, half}, at::kDouble);
  for (size_t row = 0; row < positions.size(); ++row)
    for (int64_t i = 0; i < half; ++i)
      angle[static_cast<int64_t>(row)][0][i] = sign * static_cast<double>(static_cast<float>(positions[row]) * frequencies[static_cast<size_t>(i)]);
  angle = angle.to(x.scalar_type());
  const Tensor turned = at::view_as_complex(x.narrow(-1, start, 2 * half).contiguous().unflatten(-1, {half, 2})) * at::complex(at::cos(angle), at::sin(angle));
  return at::cat({x.narrow(-1, 0, start), at::view_as_real(turned).flatten(-2)}, -1);
}

// Entry by entry.  u [n, D] -> [floor(n / ratio), Dh]
Tensor compress(const Tensor& u, const CompressorWeights& w, int64_t ratio, const RopeConfig& rope, double eps) {
  const int64_t dim = w.norm.value.size(0), count = u.size(0) / ratio;
  const Tensor values = u.matmul(w.wkv.value.t());
  const Tensor gates = u.matmul(w.wgate.value.t());
  std::vector<Tensor> entries;
  std::vector<int64_t> positions;
  for (int64_t i = 0; i < count; ++i) {
    std::vector<Tensor> pool_values, pool_gates;
    for (int64_t block = ratio == 4 ? i - 1 : i; block <= i; ++block) {
      if (block < 0) continue;
      const int64_t column = ratio == 4 && block == i ? dim : 0;
      for (int64_t row = 0; row < ratio; ++row) {
        pool_values.push_back(values[block * ratio + row].narrow(0, column, dim));
        pool_gates.push_back((gates[block * ratio + row] + w.ape.value[row]).narrow(0, column, dim));
      }
    }
    entries.push_back((at::softmax(at::stack(pool_gates), 0) * at::stack(pool_values)).sum(0));
    positions.push_back(i * ratio);
  }
  if (entries.empty()) return at::zeros({0, dim}, u.options());
  return rotate(norm(at::stack(entries), w.norm.value, eps).unsqueeze(1), positions, rope, 1).squeeze(1);
}

// Hadamard's matrix by Sylvester's rule, then the nearest FP4 value element by element; the gradient passes the rounding.
Tensor fp4_path(const Tensor& x) {
  const int64_t dim = x.size(-1);
  Tensor matrix = at::empty({dim, dim}, x.options());
  for (int64_t i = 0; i < dim; ++i)
    for (int64_t j = 0; j < dim; ++j) matrix[i][j] = (__builtin_popcountll(static_cast<uint64_t>(i & j)) % 2 == 0 ? 1.0 : -1.0) / std::sqrt(static_cast<double>(dim));
  const Tensor turned = x.matmul(matrix), plain = turned.detach().to(at::kDouble).contiguous();
  Tensor rounded = at::empty(plain.sizes(), at::kDouble);
  const double* in = plain.const_data_ptr<double>();
  double* out = rounded.mutable_data_ptr<double>();
  for (int64_t block = 0; block < plain.numel(); block += 32) {
    double largest = 0;
    for (int64_t i = block; i < block + 32; ++i) largest = std::max(largest, std::abs(in[i]));
    double scale = 1;
    while (largest > 6 * scale) scale *= 2;
    while (largest > 0 && largest <= 3 * scale) scale /= 2;
    for (int64_t i = block; i < block + 32; ++i) {
      double best = 0;
      for (const double value : {0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0})
        if (std::abs(std::abs(in[i]) / scale - value) < std::abs(std::abs(in[i]) / scale - best)) best = value;
      out[i] = std::copysign(best * scale, in[i]);
    }
  }
  return turned + (rounded.to(x.scalar_type()) - turned).detach();
}

TwinResult one_document(const Tensor& u, const AttentionWeights& w, const AttentionCase& c, bool fp4) {
  const AttentionConfig& config = c.config;
  const int64_t n = u.size(0), H = config.n_heads, dim = config.head_dim, ratio = config.compress_ratio;
  const RopeConfig& rope = ratio == 0 ? c.main : c.compress;
  std::vector<int64_t> positions(static_cast<size_t>(n));
  std::iota(positions.begin(), positions.end(), 0);

  const Tensor qr = norm(u.matmul(w.wq_a.value.t()), w.q_norm.value, config.rms_norm_eps);
  const Tensor q = rotate(norm(qr.matmul(w.wq_b.value.t()).view({n, H, dim}), {}, config.rms_norm_eps), positions, rope, 1);
  Tensor keys = rotate(norm(u.matmul(w.wkv.value.t()), w.kv_norm.value, config.rms_norm_eps).unsqueeze(1), positions, rope, 1).squeeze(1);

  const int64_t count = ratio == 0 ? 0 : n / ratio;
  Tensor visible = at::zeros({n, n + count}, at::kBool), scores;
  for (int64_t t = 0; t < n; ++t)
    for (int64_t j = std::max<int64_t>(0, t - config.sliding_window + 1); j <= t; ++j) visible[t][j] = true;
  if (count > 0) {
    keys = at::cat({keys, compress(u, *w.compressor, ratio, rope, config.rms_norm_eps)});
    for (int64_t t = 0; t < n; ++t)
      for (int64_t s = 0; s < (t + 1) / ratio; ++s) visible[t][n + s] = true;
  }
  if (count > 0 && ratio == 4) {
    const Tensor u_const = u.detach(), qr_const = qr.detach();
    Tensor iq = rotate(qr_const.matmul(w.indexer->wq_b.value.t()).view({n, config.index_n_heads, config.index_head_dim}), positions, rope, 1);
    Tensor ik = compress(u_const, w.indexer->compressor, 4, rope, config.rms_norm_eps);
    if (fp4) iq = fp4_path(iq), ik = fp4_path(ik);
    const Tensor weights = u_const.matmul(w.indexer->weights_proj.value.t()) * std::pow(config.index_head_dim, -0.5) * std::pow(config.index_n_heads, -0.5);
    scores = (at::relu(at::einsum("thd,sd->ths", {iq, ik})) * weights.unsqueeze(-1)).sum(1);   // [n, count]
    const Tensor plain = scores.detach().to(at::kDouble);
    for (int64_t t = 0; t < n; ++t) {
      std::vector<int64_t> order(static_cast<size_t>((t + 1) / 4));
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return plain[t][a].item<double>() > plain[t][b].item<double>(); });
      for (size_t place = static_cast<size_t>(config.index_top_k); place < order.size(); ++place) visible[t][n + order[place]] = false;
    }
  }

  const Tensor logits = (at::einsum("thd,sd->hts", {q, keys}) / std::sqrt(static_cast<double>(dim))).masked_fill(~visible, -kInfinity);
  const Tensor sink = w.attn_sink.value.view({H, 1, 1}).expand({H, n, 1});
  const Tensor p = at::softmax(at::cat({logits, sink}, -1), -1).narrow(-1, 0, n + count);
  const Tensor o = rotate(at::einsum("hts,sd->thd", {p, keys}), positions, rope, -1);

  std::vector<Tensor> groups;
  const int64_t G = config.o_groups, rank = config.o_lora_rank;
  for (int64_t g = 0; g < G; ++g) groups.push_back(o.reshape({n, G, -1}).select(1, g).matmul(w.wo_a.value.narrow(0, g * rank, rank).t()));
  TwinResult result{at::cat(groups, -1).matmul(w.wo_b.value.t()), {}};
  if (!scores.defined()) return result;
  result.indexer_loss = at::zeros({}, u.options());
  for (int64_t t = 3; t < n; ++t) {
    const Tensor support = visible[t].narrow(0, n, count).nonzero().flatten();
    const Tensor paid = p.detach().select(1, t).narrow(-1, n, count).index_select(-1, support).sum(0);
    const Tensor teacher = paid / paid.sum();
    result.indexer_loss = result.indexer_loss + (teacher * (teacher.log() - at::log_softmax(scores[t].index_select(0, support), 0))).sum();
  }
  return result;
}

}  // namespace

AttentionContext AttentionCase::context(at::ScalarType dtype, c10::Device device) const {
  return AttentionContext::make({.document_lengths = document_lengths, .ratios = {config.compress_ratio}, .sliding_window = config.sliding_window,
                                 .main = main, .compress = compress, .dtype = dtype, .device = device});
}

int64_t AttentionCase::n_tokens() const { return std::accumulate(document_lengths.begin(), document_lengths.end(), int64_t{0}); }

AttentionCase small_case(int64_t ratio, std::vector<int64_t> document_lengths) {
  return {.config = {.hidden_size = 24, .n_heads = 4, .head_dim = 16, .rope_head_dim = 8, .q_lora_rank = 12, .o_groups = 2, .o_lora_rank = 6,
                     .sliding_window = 5, .compress_ratio = ratio, .index_n_heads = 16, .index_head_dim = 8, .index_top_k = 3, .rms_norm_eps = 1e-3},
          .document_lengths = std::move(document_lengths),
          .main = {.rope_head_dim = 8, .theta = 100, .yarn = {}},
          .compress = {.rope_head_dim = 8, .theta = 1000, .yarn = Yarn{.factor = 4, .original_length = 64, .beta_fast = 8, .beta_slow = 1}}};
}

AttentionWeights random_weights(const AttentionConfig& c, at::ScalarType dtype, bool trained) {
  const auto make = [&](std::string_view name, std::vector<int64_t> shape, double scale, double mean = 0.0) {
    const Tensor value = (random_tensor(shape, name, at::kDouble, scale) + mean).to(dtype);
    return Weight{value, trained ? at::zeros(shape, value.options().dtype(accumulate_dtype(dtype))) : Tensor()};
  };
  const auto matrix = [&](std::string_view name, int64_t out, int64_t in) { return make(name, {out, in}, 1.5 / std::sqrt(static_cast<double>(in))); };
  const auto compressor = [&](const std::string& name, int64_t dim) {
    const int64_t width = (c.compress_ratio == 4 ? 2 : 1) * dim;
    return CompressorWeights{matrix(name + "wkv", width, c.hidden_size), matrix(name + "wgate", width, c.hidden_size),
                             make(name + "ape", {c.compress_ratio, width}, 0.5), make(name + "norm", {dim}, 0.2, 1.0)};
  };
  AttentionWeights w{matrix("wq_a", c.q_lora_rank, c.hidden_size), make("q_norm", {c.q_lora_rank}, 0.2, 1.0),
                     matrix("wq_b", c.n_heads * c.head_dim, c.q_lora_rank), matrix("wkv", c.head_dim, c.hidden_size),
                     make("kv_norm", {c.head_dim}, 0.2, 1.0), make("attn_sink", {c.n_heads}, 1.0),
                     matrix("wo_a", c.o_groups * c.o_lora_rank, c.n_heads * c.head_dim / c.o_groups), matrix("wo_b", c.hidden_size, c.o_groups * c.o_lora_rank),
                     {}, {}};
  if (c.compress_ratio > 0) w.compressor = compressor("compressor.", c.head_dim);
  if (c.compress_ratio == 4)
    w.indexer = IndexerWeights{matrix("indexer.wq_b", c.index_n_heads * c.index_head_dim, c.q_lora_rank),
                               matrix("indexer.weights_proj", c.index_n_heads, c.hidden_size), compressor("indexer.compressor.", c.index_head_dim)};
  return w;
}

std::vector<std::pair<std::string, Weight*>> named_weights(AttentionWeights& w) {
  std::vector<std::pair<std::string, Weight*>> rows = {{"wq_a", &w.wq_a}, {"q_norm", &w.q_norm}, {"wq_b", &w.wq_b}, {"wkv", &w.wkv},
                                                       {"kv_norm", &w.kv_norm}, {"attn_sink", &w.attn_sink}, {"wo_a", &w.wo_a}, {"wo_b", &w.wo_b}};
  const auto add = [&](const std::string& prefix, CompressorWeights& c) {
    for (const auto& [name, weight] : {std::pair{"wkv", &c.wkv}, {"wgate", &c.wgate}, {"ape", &c.ape}, {"norm", &c.norm}}) rows.emplace_back(prefix + name, weight);
  };
  if (w.compressor) add("compressor.", *w.compressor);
  if (w.indexer) {
    rows.emplace_back("indexer.wq_b", &w.indexer->wq_b);
    rows.emplace_back("indexer.weights_proj", &w.indexer->weights_proj);
    add("indexer.compressor.", w.indexer->compressor);
  }
  return rows;
}

TwinResult attention_twin(const Tensor& u, const AttentionWeights& weights, const AttentionCase& attention_case, bool fp4) {
  std::vector<Tensor> outs;
  TwinResult all;
  int64_t start = 0;
  for (const int64_t length : attention_case.document_lengths) {
    const TwinResult one = one_document(u.narrow(0, start, length), weights, attention_case, fp4);
    outs.push_back(one.out);
    if (one.indexer_loss.defined()) all.indexer_loss = all.indexer_loss.defined() ? all.indexer_loss + one.indexer_loss : one.indexer_loss;
    start += length;
  }
  all.out = at::cat(outs);
  return all;
}

}  // namespace temper::test
