#pragma once
// How many parameters a model has, by class; how many a token activates.

#include "model/deepseek_v4/tensor_map.h"

namespace temper {

/// FP4 and FP8 weights count once each, scales and tid2eid do not count.
struct ParameterTable {
  struct Row {
    ParameterClass parameter;
    int64_t n = 0;
  };
  std::vector<Row> main;          // without MTP, in the order of ParameterClass
  int64_t n_main = 0, n_mtp = 0;
  int64_t active = 0;                       // of one token, embedding and head included
  int64_t active_without_embedding = 0;     // use for 6 N
  int64_t active_with_mtp = 0;              // embedding and head included
};
ParameterTable parameter_table(const ModelConfig& config);

}  // namespace temper
