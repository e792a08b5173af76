#pragma once
// Configs of weights that are written: derived from the one they came with.

#include "model/deepseek_v4/config.h"

namespace temper {

/// The same model without MTP layers.
ModelConfig without_mtp(ModelConfig config);

/// The released form of `config`, with every key of `original` that says something else: ids of tokens, auto_map, notes.
///   original  the config.json these weights came with, in any form parse_model_config() reads; an object
/// Keys of other forms (layer_types, rope_parameters, n_layers, ...) give way to the released ones.
Json released_json(const ModelConfig& config, const Json& original);

}  // namespace temper
