#include "optim/optimizer.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "optim/grad_clip.h"
#include "tensor/profile.h"

namespace temper {
namespace {

std::vector<std::string> all_class_names() {
  std::vector<std::string> names;
  for (int c = 0; c <= static_cast<int>(ParameterClass::kMtpProjection); ++c) names.push_back(parameter_class_name(static_cast<ParameterClass>(c)));
  return names;
}

}  // namespace

std::function<bool(const TensorRow&)> frozen_rows(const OptimizerConfig& config, const TrainedParts& parts) {
  const std::vector<std::string> known = all_class_names();
  for (const std::string& name : config.frozen)
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw Error({.kind = ErrorKind::kConfig, .what = fmt::format("\"{}\" is no parameter class", name), .where = "[optim] frozen",
                   .fix = fmt::format("known classes: {}", fmt::join(known, ", "))});
  return [frozen = config.frozen, parts](const TensorRow& row) {
    if (!parts.indexer && row.parameter == ParameterClass::kIndexer) return true;
    if (!parts.mtp && row.name.starts_with("mtp.")) return true;
    return std::find(frozen.begin(), frozen.end(), parameter_class_name(row.parameter)) != frozen.end();
  };
}

bool GradientNorms::finite() const { return std::isfinite(trunk) && std::isfinite(indexer); }

Optimizer::Optimizer(ModelWeights& weights, const OptimizerConfig& config, at::ScalarType compute_dtype) : config_(config), keeps_copies_(!weights.options().separate_compute) {
  muon_dtype_ = config.muon.precision == "auto" ? compute_dtype : parse_dtype(config.muon.precision);
  for (const Parameter& p : weights.parameters()) {
    if (!p.grad.defined()) continue;
    const bool muon = config.kind == "muon" && p.row.optimizer == OptimizerClass::kMatrix;
    Slot slot{.row = p.row, .w = p.master, .g = p.grad, .copy = {}, .m = at::zeros(p.master.sizes(), p.master.options()), .v = {}};
    if (keeps_copies_ && p.compute.scalar_type() != p.master.scalar_type()) slot.copy = p.compute;
    if (!muon) slot.v = at::zeros(p.master.sizes(), p.master.options());
    slots_.push_back(std::move(slot));
  }
  for (size_t i = 0; i < slots_.size(); ++i)
    if (slots_[i].muon()) add_matrices(i);
}

// Each independent matrix of a parameter.
void Optimizer::add_matrices(size_t slot) {
  std::vector<int64_t> groups = slots_[slot].row.row_groups;
  if (groups.empty()) groups = {slots_[slot].w.size(0)};
  int64_t first_row = 0;
  for (const int64_t n_rows : groups) {
    muon_matrices_.push_back({slot, first_row, n_rows});
    first_row += n_rows;
  }
}

GradientNorms Optimizer::gradient_norms() const {
  const ProfilePart part("optimizer");
  std::vector<Tensor> gradients;
  for (const Slot& slot : slots_) gradients.push_back(slot.g);
  const std::vector<double> sums = sums_of_squares(gradients);
  GradientNorms norms;
  for (size_t i = 0; i < slots_.size(); ++i) {
    (slots_[i].indexer() ? norms.indexer : norms.trunk) += sums[i];
    norms.by_class[parameter_class_name(slots_[i].row.parameter)] += sums[i];
  }
  norms.trunk = std::sqrt(norms.trunk);
  norms.indexer = std::sqrt(norms.indexer);
  for (auto& [name, value] : norms.by_class) value = std::sqrt(value);
  return norms;
}

double Optimizer::clip(const Slot& slot, const GradientNorms& norms) const {
  return clip_factor(slot.indexer() ? norms.indexer : norms.trunk, config_.clip_norm);
}

void Optimizer::step(double lr, const GradientNorms& norms) {
  ++n_steps_;
  muon_all(lr, norms);
  adamw_all(lr, norms);
}

void Optimizer::muon_all(double lr, const GradientNorms& norms) {
  const ProfilePart part("optimizer");
  const ProfileWork work("muon");
  std::vector<MuonMatrix> matrices;
  for (const auto& [slot, first_row, n_rows] : muon_matrices_) {
    const Slot& s = slots_[slot];
    matrices.push_back({.w = s.w.narrow(0, first_row, n_rows), .m = s.m.narrow(0, first_row, n_rows), .g = s.g.narrow(0, first_row, n_rows),
                        .grad_scale = clip(s, norms), .copy = s.copy.defined() ? s.copy.narrow(0, first_row, n_rows) : Tensor()});
  }
  muon_step(matrices, {.lr = lr, .dtype = muon_dtype_}, config_.muon);
}

void Optimizer::adamw_all(double lr, const GradientNorms& norms) {
  const ProfilePart part("optimizer");
  const ProfileWork work("adamw");
  std::vector<AdamWTensorStep> tensors;
  for (Slot& slot : slots_)
    if (!slot.muon())
      tensors.push_back({.w = slot.w, .m = slot.m, .v = slot.v, .g = slot.g, .copy = slot.copy, .lr = lr, .step = n_steps_, .grad_scale = clip(slot, norms),
                         .decay = slot.row.optimizer != OptimizerClass::kVector});
  adamw_step(tensors, config_.adamw);
}

std::vector<std::pair<std::string, Tensor>> Optimizer::states() const {
  std::vector<std::pair<std::string, Tensor>> states;
  for (const Slot& slot : slots_) {
    states.emplace_back((slot.muon() ? "muon_momentum/" : "adamw_mean/") + slot.row.name, slot.m);
    if (!slot.muon()) states.emplace_back("adamw_square/" + slot.row.name, slot.v);
  }
  return states;
}

int64_t Optimizer::state_bytes() const {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : states()) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

}  // namespace temper
