#pragma once
// The cases of tests/golden: small models and what transformers computes with them (tools/oracle).

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/deepseek_v4/weights.h"

namespace temper::test {

struct Golden {
  std::string name;
  fs::path folder;
  ModelConfig config;
  Json tokens;     // tokens.json: input_ids, labels
  Json expected;   // expected.json: "zero" gradients, transformers' own bf16 errors
  std::map<std::string, Tensor> tensors;   // logits, loss, grad.<released name>

  std::vector<std::vector<int64_t>> input_ids() const { return tokens.at("input_ids").get<std::vector<std::vector<int64_t>>>(); }
};

std::vector<std::string> golden_names();
Golden load_golden(const std::string& name);
/// The case's weights, plainly read: every tensor of its file is copied into the master of this name.
ModelWeights golden_weights(const Golden& golden, at::ScalarType compute_dtype);

}  // namespace temper::test
