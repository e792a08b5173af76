#pragma once
// Names of tensors in foreign files -> released names.  Four spellings are read:
//   released            layers.0.attn.wq_a.weight                          the official files
//   transformers        model.layers.0.self_attn.q_a_proj.weight           in memory; routed experts of a layer in one tensor
//   save_pretrained     model.layers.0.attn.wq_a.weight, model.layers.0.attn.norm.weight    what transformers 5.x writes
// and any of them wrapped: with "model." in front, once or more, as save_pretrained does only at the top level ("model.norm.weight",
// "layers.0.attn.wq_a.weight"), and with "module.", "_orig_mod." and the like anywhere, as training wrappers leave them.
// Only released names are ever written.

#include <optional>
#include <string>
#include <string_view>

namespace temper {

/// What a stored tensor is.
///   kWhole   one released tensor, `name`
///   kGateUp  [E, 2F, D]: w1 and w3 of every expert of the layer, w1's rows first; `name` ends in ".ffn.experts"
///   kDown    [E, D, F]: w2 of every expert; `name` as for kGateUp
///   kUnused  no weight: frequencies that follow from the config, scales of activations
/// Scales have the released name of FP8 and FP4, "....scale"; NVFP4's second one is "....scale_2".
struct ReleasedName {
  enum class Kind { kWhole, kGateUp, kDown, kUnused } kind = Kind::kWhole;
  std::string name;
};

/// The name without wrappers: "module.model.layers.0._orig_mod.attn.wq_a.weight" -> "layers.0.attn.wq_a.weight".
std::string unwrapped_name(std::string_view stored);

/// Nothing if the name cannot be one of a DeepSeek-V4 layer in any of the spellings.  A name it returns need not exist in
/// the model at hand: compare with the tensor map.
std::optional<ReleasedName> released_name(const std::string& stored);

}  // namespace temper
