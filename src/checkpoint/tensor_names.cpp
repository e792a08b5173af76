#include "checkpoint/tensor_names.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace temper {
namespace {

// Outside of layers.
const std::unordered_map<std::string_view, std::string_view> kTopLevel = {
    {"embed_tokens.weight", "embed.weight"}, {"lm_head.weight", "head.weight"}, {"hc_head.hc_fn", "hc_head_fn"},
    {"hc_head.hc_base", "hc_head_base"},     {"hc_head.hc_scale", "hc_head_scale"},
};

// Whole rests of a name, after "layers.3.".
const std::unordered_map<std::string_view, std::string_view> kRests = {
    {"input_layernorm.weight", "attn_norm.weight"},
    {"post_attention_layernorm.weight", "ffn_norm.weight"},
    {"attn_hc.fn", "hc_attn_fn"},
    {"attn_hc.base", "hc_attn_base"},
    {"attn_hc.scale", "hc_attn_scale"},
    {"ffn_hc.fn", "hc_ffn_fn"},
    {"ffn_hc.base", "hc_ffn_base"},
    {"ffn_hc.scale", "hc_ffn_scale"},
    {"self_attn.q_a_norm.weight", "attn.q_norm.weight"},
    {"self_attn.kv_norm.weight", "attn.kv_norm.weight"},
    {"self_attn.sinks", "attn.attn_sink"},
    {"self_attn.compressor.position_bias", "attn.compressor.ape"},
    {"self_attn.compressor.kv_norm.weight", "attn.compressor.norm.weight"},
    {"self_attn.compressor.indexer.position_bias", "attn.indexer.compressor.ape"},
    {"self_attn.compressor.indexer.kv_norm.weight", "attn.indexer.compressor.norm.weight"},
    {"mlp.gate.e_score_correction_bias", "ffn.gate.bias"},
    {"mlp.gate.tid2eid", "ffn.gate.tid2eid"},
    {"attn.norm.weight", "attn.kv_norm.weight"},   // save_pretrained's
};

// Linear layers: the rest without its ".weight" or ".scale".
const std::unordered_map<std::string_view, std::string_view> kLinears = {
    {"self_attn.q_a_proj", "attn.wq_a"},
    {"self_attn.q_b_proj", "attn.wq_b"},
    {"self_attn.kv_proj", "attn.wkv"},
    {"self_attn.o_a_proj", "attn.wo_a"},
    {"self_attn.o_b_proj", "attn.wo_b"},
    {"self_attn.compressor.kv_proj", "attn.compressor.wkv"},
    {"self_attn.compressor.gate_proj", "attn.compressor.wgate"},
    {"self_attn.compressor.indexer.q_b_proj", "attn.indexer.wq_b"},
    {"self_attn.compressor.indexer.kv_proj", "attn.indexer.compressor.wkv"},
    {"self_attn.compressor.indexer.gate_proj", "attn.indexer.compressor.wgate"},
    {"self_attn.compressor.indexer.weights_proj", "attn.indexer.weights_proj"},          // until transformers 5.10
    {"self_attn.compressor.indexer.scorer.weights_proj", "attn.indexer.weights_proj"},   // since
    {"mlp.gate", "ffn.gate"},
    {"mlp.shared_experts.gate_proj", "ffn.shared_experts.w1"},
    {"mlp.shared_experts.up_proj", "ffn.shared_experts.w3"},
    {"mlp.shared_experts.down_proj", "ffn.shared_experts.w2"},
};

template <class Map> std::string_view look_up(const Map& map, std::string_view key) {
  const auto found = map.find(key);
  return found == map.end() ? std::string_view() : found->second;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// Splits "layers.12.rest" or "mtp.0.rest"; `head` gets "layers.12.".
bool split_layer(std::string_view name, std::string_view& head, std::string_view& rest) {
  std::string_view tail = name;
  if (!take_prefix(tail, "layers.") && !take_prefix(tail, "mtp.")) return false;
  const size_t digits = tail.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string_view::npos || tail[digits] != '.' || digits > 6) return false;
  rest = tail.substr(digits + 1);
  head = name.substr(0, name.size() - rest.size());
  return !rest.empty();
}

std::string released_rest(std::string_view rest) {
  if (const auto found = look_up(kRests, rest); !found.empty()) return std::string(found);
  // transformers calls the same scales weight_scale_inv, NVFP4 copies weight_scale; they are multiplied too.
  for (const auto& [theirs, ours] : {std::pair<std::string_view, std::string_view>{".weight_scale_inv", ".scale"}, {".weight_scale", ".scale"}, {".weight_scale_2", ".scale_2"},
                                     {".weight", ".weight"}, {".scale", ".scale"}}) {
    if (!rest.ends_with(theirs)) continue;
    const std::string_view stem = rest.substr(0, rest.size() - theirs.size());
    const auto found = look_up(kLinears, stem);
    return std::string(found.empty() ? stem : found).append(ours);
  }
  return std::string(rest);
}

}  // namespace

std::string unwrapped_name(std::string_view stored) {
  constexpr std::string_view kWrappers[] = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"};
  std::string name;
  while (!stored.empty()) {
    const size_t end = std::min(stored.find('.'), stored.size());
    const std::string_view part = stored.substr(0, end);
    const bool wrapper = std::find(std::begin(kWrappers), std::end(kWrappers), part) != std::end(kWrappers) || (part == "model" && name.empty());
    if (!wrapper) name.append(name.empty() ? "" : ".").append(part);
    stored.remove_prefix(std::min(end + 1, stored.size()));
  }
  return name;
}

std::optional<ReleasedName> released_name(const std::string& stored) {
  const std::string unwrapped = unwrapped_name(stored);
  const std::string_view name = unwrapped;
  if (name.ends_with("inv_freq") || name.ends_with(".input_scale")) return ReleasedName{.kind = ReleasedName::Kind::kUnused, .name = unwrapped};
  std::string_view head, rest;
  if (!split_layer(name, head, rest)) {
    const auto found = look_up(kTopLevel, name);
    return ReleasedName{.name = std::string(found.empty() ? name : found)};
  }
  const auto fused = [&](ReleasedName::Kind kind) { return ReleasedName{.kind = kind, .name = std::string(head) + "ffn.experts"}; };
  if (rest == "mlp.experts.gate_up_proj") return fused(ReleasedName::Kind::kGateUp);
  if (rest == "mlp.experts.down_proj") return fused(ReleasedName::Kind::kDown);
  const std::string ours = released_rest(rest);
  if (ours.starts_with("self_attn.") || ours.starts_with("mlp.")) return std::nullopt;   // a part that we know nothing of
  return ReleasedName{.name = std::string(head) + ours};
}

}  // namespace temper
