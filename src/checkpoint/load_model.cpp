#include "checkpoint/load_model.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"

namespace temper {

LoadedModel load_model(const fs::path& path, WeightsOptions options) {
  const WhileDoing work("loading the model " + path.string());
  const std::unique_ptr<WeightSource> source = open_weights(path);
  if (source->mtp_missing() && options.mtp) {
    log_info("checkpoint", "{} has no MTP tensors (as checkpoints of transformers): the model is built without MTP layers", path.string());
    options.mtp = false;
  }
  LoadedModel model{.weights = ModelWeights(source->config(), options), .mtp_missing = source->mtp_missing()};
  if (options.device == at::kMeta) return model;
  for (const Parameter& parameter : model.weights.parameters()) {
    check_interrupt();
    source->for_each_part(parameter.row, [&](int64_t begin, const Tensor& rows) { parameter.master.narrow(0, begin, rows.size(0)).copy_(rows); });
  }
  model.weights.refresh_compute();
  return model;
}

}  // namespace temper
