// Any bytes as a model's config.json: refused with Error{kConfig}, or a config whose tensors have sizes that fit 64 bits, and that is
// the same when it is written and read again.
// fuzz sources: src/model/deepseek_v4/config.cpp src/model/deepseek_v4/config_limits.cpp src/model/deepseek_v4/tensor_map.cpp

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model/deepseek_v4/tensor_map.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace temper;
  try {
    const ModelConfig config = parse_model_config(parse_json({reinterpret_cast<const char*>(data), size}, "input", ErrorKind::kConfig), "input");
    const Json written = to_json(config);
    if (to_json(parse_model_config(written, "written")) != written) std::abort();
    if (config.n_blocks() * config.n_routed_experts > 1000) return 0;   // a list of every tensor would take too long
    int64_t parameters = 0;
    for (const TensorRow& row : tensor_map(config))
      if (__builtin_add_overflow(parameters, row.numel(), &parameters) || row.numel() <= 0) std::abort();
    for (const StoredTensor& tensor : stored_tensors(config))
      if (!element_count(tensor.shape)) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kConfig) std::abort();
  }
  return 0;
}
