#include "model/deepseek_v4/tensor_map.h"

#include <fmt/format.h>

#include <numeric>

#include "model/deepseek_v4/dspark.h"

namespace temper {
namespace {

int64_t product(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}
int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Collects the rows of one model.
class MapBuilder {
 public:
  explicit MapBuilder(const ModelConfig& config)
      : c_(config),
        dense_(config.quantized ? Encoding::kFp8Block128 : Encoding::kPlain),
        expert_(config.quantized ? config.expert_encoding : Encoding::kPlain) {}

  std::vector<TensorRow> build() {
    const int64_t V = c_.vocab_size, D = c_.hidden_size;
    add("embed.weight", {V, D}, StoredDtype::kBF16, OptimizerClass::kEmbedding, ParameterClass::kEmbedding);
    for (int64_t n = 0; n < c_.n_layers; ++n) block(fmt::format("layers.{}.", n), n, c_.compress_ratio(n));
    hc_head("");
    norm("norm.weight", D, ParameterClass::kFinal);
    add("head.weight", {V, D}, StoredDtype::kBF16, OptimizerClass::kEmbedding, ParameterClass::kHead);
    for (int64_t i = 0; i < c_.n_mtp_layers; ++i) mtp(i);
    return std::move(rows_);
  }

  // Each stage is a window-only block with a learned router; the first reads the main layers, the last holds the heads.
  std::vector<TensorRow> build_dspark(const DsparkConfig& d) {
    const int64_t D = c_.hidden_size, V = c_.vocab_size, last = d.n_stages() - 1;
    for (int64_t s = 0; s <= last; ++s) {
      const std::string prefix = fmt::format("mtp.{}.", s);
      block(prefix, c_.n_layers + s, /*ratio=*/0);
      layer_ = c_.n_layers + s;
      if (s == 0) {
        matrix(prefix + "main_proj", D, D * d.n_stages(), dense_, ParameterClass::kMtpProjection);
        norm(prefix + "main_norm.weight", D, ParameterClass::kNorm);
      }
      if (s == last) {
        norm(prefix + "norm.weight", D, ParameterClass::kFinal);
        hc_head(prefix);
        matrix(prefix + "markov_head.markov_w1", V, d.markov_rank, Encoding::kPlain, ParameterClass::kMtpProjection);
        matrix(prefix + "markov_head.markov_w2", V, d.markov_rank, Encoding::kPlain, ParameterClass::kMtpProjection);
        matrix(prefix + "confidence_head.proj", 1, D + d.markov_rank, Encoding::kPlain, ParameterClass::kMtpProjection);
      }
    }
    return std::move(rows_);
  }

 private:
  TensorRow& add(const std::string& name, std::vector<int64_t> shape, StoredDtype dtype, OptimizerClass optimizer, ParameterClass parameter) {
    rows_.push_back({.name = name, .shape = std::move(shape), .dtype = dtype, .optimizer = optimizer, .parameter = parameter, .layer = layer_, .row_groups = {}});
    return rows_.back();
  }
  TensorRow& matrix(const std::string& name, int64_t n_rows, int64_t n_columns, Encoding encoding, ParameterClass parameter) {
    const StoredDtype dtype = encoding == Encoding::kPlain ? StoredDtype::kBF16 : code_dtype(encoding);
    TensorRow& row = add(name + ".weight", {n_rows, n_columns}, dtype, OptimizerClass::kMatrix, parameter);
    row.encoding = encoding;
    return row;
  }
  void norm(const std::string& name, int64_t size, ParameterClass parameter) {
    add(name, {size}, StoredDtype::kBF16, OptimizerClass::kVector, parameter);
  }
  void f32(const std::string& name, std::vector<int64_t> shape, OptimizerClass optimizer, ParameterClass parameter) {
    add(name, std::move(shape), StoredDtype::kF32, optimizer, parameter);
  }

  void block(const std::string& prefix, int64_t n, int64_t ratio) {
    layer_ = n;
    norm(prefix + "attn_norm.weight", c_.hidden_size, ParameterClass::kNorm);
    norm(prefix + "ffn_norm.weight", c_.hidden_size, ParameterClass::kNorm);
    hyper_connection(prefix + "hc_attn");
    hyper_connection(prefix + "hc_ffn");
    attention(prefix + "attn.", ratio);
    moe(prefix + "ffn.", n);
    layer_ = -1;
  }

  void hyper_connection(const std::string& prefix) {
    const int64_t M = c_.hc_mult, n_rows = (2 + M) * M;
    // The pre, post and residual maps are three matrices that share one input.
    add(prefix + "_fn", {n_rows, M * c_.hidden_size}, StoredDtype::kF32, OptimizerClass::kMatrix, ParameterClass::kHyperConnection).row_groups = {M, M, M * M};
    f32(prefix + "_base", {n_rows}, OptimizerClass::kVector, ParameterClass::kHyperConnection);
    f32(prefix + "_scale", {3}, OptimizerClass::kVector, ParameterClass::kHyperConnection);
  }
  void hc_head(const std::string& prefix) {
    const int64_t M = c_.hc_mult;
    f32(prefix + "hc_head_fn", {M, M * c_.hidden_size}, OptimizerClass::kMatrix, ParameterClass::kFinal);
    f32(prefix + "hc_head_base", {M}, OptimizerClass::kVector, ParameterClass::kFinal);
    f32(prefix + "hc_head_scale", {1}, OptimizerClass::kVector, ParameterClass::kFinal);
  }

  void compressor(const std::string& prefix, int64_t ratio, int64_t head_dim, ParameterClass parameter) {
    const int64_t n_channels = (ratio == 4 ? 2 : 1) * head_dim;   // ratio 4 pools two overlapping blocks
    // ape is a table of position biases, not a map: AdamW, as for other biases.
    f32(prefix + "ape", {ratio, n_channels}, OptimizerClass::kVector, parameter);
    matrix(prefix + "wkv", n_channels, c_.hidden_size, Encoding::kPlain, parameter);
    matrix(prefix + "wgate", n_channels, c_.hidden_size, Encoding::kPlain, parameter);
    norm(prefix + "norm.weight", head_dim, parameter);
  }

  void attention(const std::string& prefix, int64_t ratio) {
    const int64_t D = c_.hidden_size, H = c_.n_heads;
    matrix(prefix + "wq_a", c_.q_lora_rank, D, dense_, ParameterClass::kAttention);
    norm(prefix + "q_norm.weight", c_.q_lora_rank, ParameterClass::kAttention);
    matrix(prefix + "wq_b", H * c_.head_dim, c_.q_lora_rank, dense_, ParameterClass::kAttention);
    matrix(prefix + "wkv", c_.head_dim, D, dense_, ParameterClass::kAttention);
    norm(prefix + "kv_norm.weight", c_.head_dim, ParameterClass::kAttention);
    f32(prefix + "attn_sink", {H}, OptimizerClass::kVector, ParameterClass::kAttention);
    if (ratio > 0) compressor(prefix + "compressor.", ratio, c_.head_dim, ParameterClass::kCompressor);
    if (ratio == 4) {
      matrix(prefix + "indexer.wq_b", c_.index_n_heads * c_.index_head_dim, c_.q_lora_rank, dense_, ParameterClass::kIndexer);
      matrix(prefix + "indexer.weights_proj", c_.index_n_heads, D, Encoding::kPlain, ParameterClass::kIndexer);
      compressor(prefix + "indexer.compressor.", ratio, c_.index_head_dim, ParameterClass::kIndexer);
    }
    // wo_a holds one matrix for each group of heads.
    matrix(prefix + "wo_a", c_.o_groups * c_.o_lora_rank, H * c_.head_dim / c_.o_groups, dense_, ParameterClass::kAttention)
        .row_groups.assign(static_cast<size_t>(c_.o_groups), c_.o_lora_rank);
    matrix(prefix + "wo_b", D, c_.o_groups * c_.o_lora_rank, dense_, ParameterClass::kAttention);
  }

  void expert(const std::string& prefix, Encoding encoding, ParameterClass parameter, int64_t index) {
    const int64_t D = c_.hidden_size, F = c_.moe_intermediate_size;
    matrix(prefix + "w1", F, D, encoding, parameter).expert = index;
    matrix(prefix + "w2", D, F, encoding, parameter).expert = index;
    matrix(prefix + "w3", F, D, encoding, parameter).expert = index;
  }

  void moe(const std::string& prefix, int64_t n) {
    const int64_t E = c_.n_routed_experts;
    matrix(prefix + "gate", E, c_.hidden_size, Encoding::kPlain, ParameterClass::kRouter);
    if (c_.is_hash_layer(n)) add(prefix + "gate.tid2eid", {c_.vocab_size, c_.top_k}, StoredDtype::kI64, OptimizerClass::kConstant, ParameterClass::kRouter);
    else f32(prefix + "gate.bias", {E}, OptimizerClass::kRouterBias, ParameterClass::kRouter);
    for (int64_t e = 0; e < E; ++e) expert(fmt::format("{}experts.{}.", prefix, e), expert_, ParameterClass::kRoutedExpert, e);
    expert(prefix + "shared_experts.", dense_, ParameterClass::kSharedExpert, -1);
  }

  void mtp(int64_t i) {
    const std::string prefix = fmt::format("mtp.{}.", i);
    const int64_t D = c_.hidden_size;
    block(prefix, c_.n_layers + i, c_.compress_ratio(c_.n_layers + i));
    layer_ = c_.n_layers + i;
    norm(prefix + "enorm.weight", D, ParameterClass::kNorm);
    norm(prefix + "hnorm.weight", D, ParameterClass::kNorm);
    matrix(prefix + "e_proj", D, D, dense_, ParameterClass::kMtpProjection);
    matrix(prefix + "h_proj", D, D, dense_, ParameterClass::kMtpProjection);
    hc_head(prefix);
    norm(prefix + "norm.weight", D, ParameterClass::kFinal);
    layer_ = -1;
  }

  const ModelConfig& c_;
  const Encoding dense_, expert_;
  int64_t layer_ = -1;
  std::vector<TensorRow> rows_;
};

}  // namespace

const char* parameter_class_name(ParameterClass c) {
  switch (c) {
    case ParameterClass::kEmbedding: return "embedding";
    case ParameterClass::kHead: return "head";
    case ParameterClass::kFinal: return "final norm and hc_head";
    case ParameterClass::kAttention: return "attention";
    case ParameterClass::kCompressor: return "compressors";
    case ParameterClass::kIndexer: return "indexers";
    case ParameterClass::kRoutedExpert: return "routed experts";
    case ParameterClass::kSharedExpert: return "shared experts";
    case ParameterClass::kRouter: return "routers";
    case ParameterClass::kHyperConnection: return "hyper-connections";
    case ParameterClass::kNorm: return "block norms";
    case ParameterClass::kMtpProjection: return "MTP projections";
  }
  return "";
}

int64_t TensorRow::numel() const { return product(shape); }

std::optional<std::string> TensorRow::scale_name() const {
  if (encoding == Encoding::kPlain) return std::nullopt;
  return name.substr(0, name.size() - std::string_view(".weight").size()) + ".scale";
}

std::vector<int64_t> TensorRow::scale_shape() const {
  if (encoding == Encoding::kFp8Block128) return {ceil_div(shape[0], 128), ceil_div(shape[1], 128)};
  if (encoding == Encoding::kFp4Block32) return {shape[0], ceil_div(shape[1], 32)};
  return {};
}

std::vector<int64_t> TensorRow::stored_shape() const {
  if (encoding == Encoding::kFp4Block32) return {shape[0], ceil_div(shape[1], 2)};
  return shape;
}

std::vector<TensorRow> tensor_map(const ModelConfig& config) { return MapBuilder(config).build(); }
std::vector<TensorRow> dspark_map(const ModelConfig& main, const DsparkConfig& dspark) { return MapBuilder(main).build_dspark(dspark); }

std::vector<StoredTensor> stored_tensors(const std::vector<TensorRow>& rows, StoredDtype scale_dtype) {
  std::vector<StoredTensor> list;
  const auto add = [&](const std::string& name, StoredDtype dtype, std::vector<int64_t> shape) {
    list.push_back({.name = name, .dtype = dtype, .shape = std::move(shape)});
    list.back().bytes = static_cast<uint64_t>(product(list.back().shape)) * stored_dtype_bytes(dtype);
  };
  for (const TensorRow& row : rows) {
    add(row.name, row.dtype, row.stored_shape());
    if (const auto scale = row.scale_name()) add(*scale, scale_dtype, row.scale_shape());
  }
  return list;
}

std::vector<StoredTensor> stored_tensors(const ModelConfig& config) {
  return stored_tensors(tensor_map(config), config.scales_are_e8m0 ? StoredDtype::kF8_E8M0 : StoredDtype::kF32);
}

}  // namespace temper
