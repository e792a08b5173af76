#include "model/deepseek_v4/weights.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "model/deepseek_v4/released_json.h"

namespace temper {
namespace {

std::string without_suffix(const std::string& name, std::string_view suffix) {
  return name.ends_with(suffix) ? name.substr(0, name.size() - suffix.size()) : name;
}

// Expert rows are named ...ffn.experts.17.w1 or ...ffn.shared_experts.w1: where the tensor lies.
struct ExpertPlace {
  std::string storage;
  bool fused;       // w1 and w3 share a storage
  bool second;      // w3: the lower rows
};
ExpertPlace expert_place(const std::string& bare, bool routed) {
  const std::string which = bare.substr(bare.size() - 2);                         // w1, w2 or w3
  std::string prefix = bare.substr(0, bare.size() - 3);                           // ...experts.17 or ...shared_experts
  if (routed) prefix = prefix.substr(0, prefix.rfind('.'));
  return {prefix + (which == "w2" ? ".w2" : ".w13"), which != "w2", which == "w3"};
}

}  // namespace

ModelWeights::ModelWeights(const ModelConfig& config, const WeightsOptions& options) : config_(config), options_(options) {
  if (!options.mtp) config_ = without_mtp(std::move(config_));
  for (const TensorRow& row : tensor_map(config_)) add_row(row);
  rebuild_views();
}

// Norms, mHC, sinks, position biases and the router are computed in fp32 (docs/numerics.md); the rest in the compute dtype.
at::ScalarType ModelWeights::compute_dtype_of(const TensorRow& row) const {
  if (row.holds_ids()) return at::kLong;
  if (options_.compute_dtype == at::kDouble) return at::kDouble;
  const bool full = row.optimizer == OptimizerClass::kVector || row.optimizer == OptimizerClass::kRouterBias ||
                    row.parameter == ParameterClass::kHyperConnection || row.parameter == ParameterClass::kRouter ||
                    row.parameter == ParameterClass::kFinal;
  return full ? at::kFloat : options_.compute_dtype;
}

void ModelWeights::add_storage(const std::string& name, const Shape& shape, const TensorRow& row) {
  const bool constant = row.holds_ids();
  const at::ScalarType compute = compute_dtype_of(row);
  const at::ScalarType master = constant ? at::kLong : options_.compute_dtype == at::kDouble ? at::kDouble : at::kFloat;
  Storage storage{.name = name, .master = at::zeros(shape, at::TensorOptions(master).device(options_.device)), .weight = {}, .trainable = row.trainable()};
  const bool shared = constant || (compute == master && !options_.separate_compute);
  storage.weight.value = shared ? storage.master : at::zeros(shape, at::TensorOptions(compute).device(options_.device));
  storage.weight.stale = std::make_shared<bool>(false);
  index_[name] = storages_.size();
  storages_.push_back(std::move(storage));
}

void ModelWeights::add_row(const TensorRow& row) {
  const std::string bare = without_suffix(row.name, ".weight");
  View view{};
  const bool routed = row.parameter == ParameterClass::kRoutedExpert, shared = row.parameter == ParameterClass::kSharedExpert;
  if (routed || shared) {
    const ExpertPlace place = expert_place(bare, routed);
    const int64_t n_rows = row.shape[0];
    Shape shape = {place.fused ? 2 * n_rows : n_rows, row.shape[1]};
    if (routed) shape.insert(shape.begin(), config_.n_routed_experts);
    if (!index_.count(place.storage)) add_storage(place.storage, shape, row);
    view = {.storage = index_.at(place.storage), .expert = row.expert, .first_row = place.second ? n_rows : 0, .n_rows = n_rows};
  } else {
    add_storage(bare, row.shape, row);
    view.storage = index_.at(bare);
  }
  parameter_index_[row.name] = parameters_.size();
  parameters_.push_back({.row = row, .master = {}, .compute = {}, .grad = {}});
  views_.push_back(view);
}

Tensor ModelWeights::view_of(const Tensor& storage, const View& view) const {
  if (!storage.defined() || view.n_rows < 0) return storage;
  const Tensor matrix = view.expert < 0 ? storage : storage.select(0, view.expert);
  return matrix.narrow(0, view.first_row, view.n_rows);
}

void ModelWeights::rebuild_views() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Storage& storage = storages_[views_[i].storage];
    parameters_[i].master = view_of(storage.master, views_[i]);
    parameters_[i].compute = view_of(storage.weight.value, views_[i]);
    parameters_[i].grad = view_of(storage.weight.grad, views_[i]);
  }
}

const Weight& ModelWeights::weight(const std::string& storage_name) const {
  const auto found = index_.find(storage_name);
  if (found == index_.end())
    throw Error({.kind = ErrorKind::kInternal, .what = fmt::format("there is no weight \"{}\"", storage_name), .where = "model weights", .fix = "please report this"});
  return storages_[found->second].weight;
}

void ModelWeights::for_each_storage(const std::function<void(const std::string& name, const Weight& weight)>& body) const {
  for (const Storage& storage : storages_) body(storage.name, storage.weight);
}

const Parameter& ModelWeights::parameter(const std::string& released_name) const {
  const auto found = parameter_index_.find(released_name);
  if (found == parameter_index_.end())
    throw Error({.kind = ErrorKind::kInternal, .what = fmt::format("there is no tensor \"{}\"", released_name), .where = "model weights", .fix = "please report this"});
  return parameters_[found->second];
}

void ModelWeights::enable_gradients(const std::function<bool(const TensorRow&)>& frozen) {
  std::vector<bool> wanted(storages_.size(), false);
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (parameters_[i].row.trainable() && !(frozen && frozen(parameters_[i].row))) wanted[views_[i].storage] = true;
  for (size_t s = 0; s < storages_.size(); ++s) {
    Storage& storage = storages_[s];
    if (!wanted[s]) storage.weight.grad = Tensor();
    else if (!storage.weight.grad.defined()) storage.weight.grad = at::zeros(storage.master.sizes(), storage.master.options());
    else storage.weight.grad.zero_();
    *storage.weight.stale = false;
  }
  rebuild_views();
}

void ModelWeights::zero_gradients() {
  begin_gradients();
  finish_gradients();
}

void ModelWeights::begin_gradients() {
  for (Storage& storage : storages_) *storage.weight.stale = storage.weight.trained();
}

void ModelWeights::finish_gradients() {
  for (Storage& storage : storages_)
    if (storage.weight.trained()) storage.weight.grad_sum();   // clears what is still stale
}

void ModelWeights::refresh_compute(const std::function<Tensor(const TensorRow&, const Tensor& master)>& transform) {
  if (!transform) {
    for (Storage& storage : storages_)
      if (!storage.weight.value.is_same(storage.master)) storage.weight.value.copy_(storage.master);
    return;
  }
  for (Parameter& parameter : parameters_)
    if (!parameter.compute.is_same(parameter.master) && parameter.compute.data_ptr() != parameter.master.data_ptr())
      parameter.compute.copy_(transform(parameter.row, parameter.master));
}

}  // namespace temper
