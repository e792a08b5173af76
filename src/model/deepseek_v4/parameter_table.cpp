#include "model/deepseek_v4/parameter_table.h"

#include <algorithm>

namespace temper {

ParameterTable parameter_table(const ModelConfig& config) {
  ParameterTable table;
  int64_t routed_main = 0, routed_mtp = 0, embedding = 0;
  for (const TensorRow& row : tensor_map(config)) {
    if (row.holds_ids()) continue;
    const int64_t n = row.numel();
    const bool mtp = row.layer >= config.n_layers;
    if (row.parameter == ParameterClass::kRoutedExpert) (mtp ? routed_mtp : routed_main) += n;
    if (row.parameter == ParameterClass::kEmbedding) embedding += n;
    (mtp ? table.n_mtp : table.n_main) += n;
    if (mtp) continue;
    const auto found = std::find_if(table.main.begin(), table.main.end(), [&](const auto& entry) { return entry.parameter == row.parameter; });
    if (found == table.main.end()) table.main.push_back({row.parameter, n});
    else found->n += n;
  }
  std::sort(table.main.begin(), table.main.end(), [](const auto& a, const auto& b) { return a.parameter < b.parameter; });
  // Experts of one layer are equal in size, so the active share is exact.
  const auto active = [&](int64_t routed) { return routed / config.n_routed_experts * config.top_k; };
  table.active = table.n_main - routed_main + active(routed_main);
  table.active_without_embedding = table.active - embedding;
  table.active_with_mtp = table.active + table.n_mtp - routed_mtp + active(routed_mtp);
  return table;
}

}  // namespace temper
