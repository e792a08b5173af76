#pragma once

#include "model/deepseek_v4/config.h"

namespace temper::test {

/// Three layers that show every kind (hash and learned routing; window, CSA and HCA attention) and one MTP layer, as small as
/// they can be.  A test changes the sizes that it is about.
inline ModelConfig all_layers_config() {
  ModelConfig config;
  config.vocab_size = 24;
  config.hidden_size = 16;
  config.n_layers = 3;
  config.n_heads = 4;
  config.head_dim = 8;
  config.rope_head_dim = 4;
  config.q_lora_rank = 8;
  config.o_groups = 2;
  config.o_lora_rank = 4;
  config.n_routed_experts = 4;
  config.top_k = 2;
  config.moe_intermediate_size = 8;
  config.n_hash_layers = 1;
  config.sliding_window = 8;
  config.compress_ratios = {0, 4, 128, 0};
  config.index_n_heads = 2;
  config.index_head_dim = 8;
  config.index_top_k = 8;
  config.hc_mult = 2;
  return config;
}

}  // namespace temper::test
