#include "support/golden.h"

#include <algorithm>

#include "checkpoint/safetensors.h"
#include "test_places.h"

namespace temper::test {
namespace {

const fs::path& root() {
  static const fs::path path = fs::path(TEMPER_SOURCE_DIR) / "tests" / "golden";
  return path;
}

}  // namespace

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(root()))
    if (fs::exists(entry.path() / "reference" / "golden.safetensors")) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

Golden load_golden(const std::string& name) {
  Golden golden{.name = name, .folder = root() / name, .config = read_model_config(root() / name), .tokens = read_json(root() / name / "tokens.json"),
                .expected = read_json(root() / name / "expected.json"), .tensors = {}};
  const SafetensorsFile file(golden.folder / "reference" / "golden.safetensors");
  for (const StoredTensor& stored : file.tensors()) golden.tensors[stored.name] = file.tensor(stored).clone();
  return golden;
}

ModelWeights golden_weights(const Golden& golden, at::ScalarType compute_dtype) {
  const SafetensorsFolder folder(golden.folder / "model.safetensors");
  ModelWeights weights(golden.config, {.compute_dtype = compute_dtype, .mtp = folder.find("mtp.0.norm.weight").has_value()});
  for (const Parameter& parameter : weights.parameters()) parameter.master.copy_(folder.tensor(parameter.row.name));
  weights.refresh_compute();
  return weights;
}

}  // namespace temper::test
