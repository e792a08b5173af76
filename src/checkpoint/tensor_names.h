#pragma once
// Names of tensors in foreign files -> released names.  Four spellings are read:
//   released            layers.0.attn.wq_a.weight                          the official files
//   transformers        model.layers.0.self_attn.q_a_proj.weight           in memory; routed experts of a layer in one tensor
//   save_pretrained     model.layers.0.attn.wq_a.weight, model.layers.0.attn.norm.weight    what transformers 5.x writes
//   with "model."       any of the first before that prefix
// Only released names are ever written.

#include <optional>
#include <string>

namespace temper {

/// What a stored tensor is.
///   kWhole   one released tensor, `name`
///   kGateUp  [E, 2F, D]: w1 and w3 of every expert of the layer, w1's rows first; `name` ends in ".ffn.experts"
///   kDown    [E, D, F]: w2 of every expert; `name` as for kGateUp
struct ReleasedName {
  enum class Kind { kWhole, kGateUp, kDown } kind = Kind::kWhole;
  std::string name;
};

/// Nothing if the name cannot be one of a DeepSeek-V4 layer in any of the spellings.  A name it returns need not exist in
/// the model at hand: compare with the tensor map.
std::optional<ReleasedName> released_name(const std::string& stored);

}  // namespace temper
