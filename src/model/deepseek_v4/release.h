#pragma once
// Which DeepSeek-V4 release a config and the tensors next to it are: the one place that knows.
//
//   found under mtp.                                      config                        treated as
//   mtp.i with enorm, hnorm, e_proj, h_proj               L + n ratios                  kMtp: computed with the model
//   the same, and mtp.0.emb.tok_emb, mtp.0.head           expert_dtype fp8              kMtp, a -Base release
//   stages 0 to S-1 with main_proj, markov_head, ...      dspark_*, L + S ratios        kDspark: carried byte for byte
//   the same, and mtp.0.embed, mtp.<S-1>.head             dspark_*                      kDspark, with a vocabulary of its own
//   nothing                                               no dspark_*                   kNone
//   nothing                                               dspark_*                      kNone: the keys are left over, and not written again
//   anything else                                         -                             refused, naming the first difference
//
// L = num_hidden_layers, S = number of dspark_target_layer_ids.  V4.1 and the vision releases are other architectures: refused.

#include "model/deepseek_v4/dspark.h"

namespace temper {

/// What drafts tokens for the model: nothing, the serial MTP layers of the first releases, or the stages of DSpark.
enum class DrafterKind { kNone, kMtp, kDspark };
const char* drafter_kind_name(DrafterKind kind);   // "none", "mtp", "dspark"

/// The family of releases; copies in other storage formats belong to the family of their original.
///   kPreview  April: Flash, Pro       kBase  Flash-Base, Pro-Base
///   kDspark   Flash-0731 and Pro-0813, or Flash-DSpark and Pro-DSpark: config, names and shapes are the same, only values differ
///   kNoDrafter  neither MTP nor a drafter: copies made by transformers and trainers
enum class ReleaseFamily { kPreview, kBase, kDspark, kNoDrafter };

/// name  one of these, a stable string:
///         SIZE (preview)     SIZE-Base     SIZE without MTP     SIZE with leftover DSpark keys
///         SIZE with DSpark drafter (0731 or DSpark release)      Flash; Pro: (0813 or DSpark release)
///       SIZE is DeepSeek-V4-Flash, DeepSeek-V4-Pro, or DeepSeek-V4 for any other size, whose name ends in " (miniature)"
///       instead of the words in brackets.  ", NVFP4 copy", ", FP8 copy" or ", bf16 copy" follows the name of a copy.
/// drafter_action  "none", "computed" (with the model), "carried" (byte for byte), "leftover keys dropped"
struct Release {
  std::string name;
  ReleaseFamily family = ReleaseFamily::kNoDrafter;
  DrafterKind drafter = DrafterKind::kNone;
  std::string drafter_action;
  bool leftover_keys = false;
  bool own_vocabulary = false;   // the drafter has an embedding or head of its own
  int64_t n_stages = 0;          // of a DSpark drafter
};

/// Refuses the configs of V4.1 and of the vision releases.  Error{kConfig} naming the key.
void refuse_foreign_config(const Json& config, const std::string& where);

/// A tensor of a file, as its header says: dtypes by safetensors' names; the name without wrappers (checkpoint/tensor_names.h).
/// An empty dtype: only the name is known (an index without its files).
struct TensorHead {
  std::string name, dtype;
  std::vector<int64_t> shape;
};

/// Decides by names, dtypes and shapes.  `tensors`: those of the files.
/// The main model's own tensors are checked by who reads them (checkpoint/model_folder_source.h).
/// Errors  kCheckpoint naming the first difference
Release recognise_release(const ModelConfig& main, const std::optional<DsparkConfig>& dspark, const std::vector<TensorHead>& tensors, const std::string& where);
/// The release whose official files have this config.
Release recognise_release(const ModelConfig& main, const std::optional<DsparkConfig>& dspark, const std::string& where);

}  // namespace temper
