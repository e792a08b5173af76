#include "model/deepseek_v4/init.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>

#include "base/rng.h"

namespace temper {
namespace {

void fill_normal(const Tensor& into, const RandomStream& stream, double std) {
  // Written through a contiguous copy: the tensor may be a view of a fused storage.
  Tensor values = into.contiguous().to(at::kDouble);
  double* data = values.mutable_data_ptr<double>();
  at::parallel_for(0, values.numel(), 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) data[i] = std * stream.normal(static_cast<uint64_t>(i));
  });
  into.copy_(values);
}

// Each token takes the experts with the least tokens so far, ties in random order: rows are random subsets, loads are equal.
void fill_tid2eid(const Tensor& into, int64_t n_routed_experts, const RandomStream& stream) {
  const int64_t n_tokens = into.size(0), top_k = into.size(1);
  std::vector<int64_t> load(static_cast<size_t>(n_routed_experts), 0), order(load.size());
  std::vector<uint64_t> key(load.size());
  int64_t* out = into.mutable_data_ptr<int64_t>();
  for (int64_t token = 0; token < n_tokens; ++token) {
    std::iota(order.begin(), order.end(), 0);
    for (size_t e = 0; e < key.size(); ++e) key[e] = stream.bits(static_cast<uint64_t>(token) * key.size() + e);
    std::partial_sort(order.begin(), order.begin() + top_k, order.end(), [&](int64_t a, int64_t b) {
      return std::pair(load[static_cast<size_t>(a)], key[static_cast<size_t>(a)]) < std::pair(load[static_cast<size_t>(b)], key[static_cast<size_t>(b)]);
    });
    for (int64_t k = 0; k < top_k; ++k) {
      out[token * top_k + k] = order[static_cast<size_t>(k)];
      ++load[static_cast<size_t>(order[static_cast<size_t>(k)])];
    }
  }
}

}  // namespace

void initialise(ModelWeights& weights, const InitOptions& options) {
  for (const Parameter& p : weights.parameters()) {
    const RandomStream stream(options.seed, "init/" + p.row.name);
    const bool is_norm = p.row.name.ends_with("norm.weight");
    switch (p.row.optimizer) {
      case OptimizerClass::kEmbedding:
      case OptimizerClass::kMatrix: fill_normal(p.master, stream, options.std); break;
      case OptimizerClass::kVector: p.master.fill_(is_norm ? 1.0 : p.row.name.ends_with("_scale") ? options.hc_scale : 0.0); break;
      case OptimizerClass::kRouterBias: p.master.zero_(); break;
      case OptimizerClass::kConstant: fill_tid2eid(p.master, weights.config().n_routed_experts, stream); break;
    }
  }
  weights.refresh_compute();
}

}  // namespace temper
