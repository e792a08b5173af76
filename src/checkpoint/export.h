#pragma once
// Weights for others: a model folder in the official layout, written part by part.
//
// `temper import` is the same with ExportDtype::kExact: the values of any folder under released names.

#include "checkpoint/weight_source.h"

namespace temper {

/// kExact    every tensor in the smallest dtype that holds its values: bf16 for FP8 and FP4 with E8M0 scales
/// kBf16     bf16, and F32 where the release has F32
/// kFloat32  everything F32
/// kFp8Fp4   the released storage: FP8 128x128 and FP4 1x32 (or FP8 experts, where the source has them), E8M0 scales; experts
///           in NVFP4 become FP4 if that holds the values of all their matrices, else FP8
enum class ExportDtype { kExact, kBf16, kFloat32, kFp8Fp4 };
/// "exact", "bf16", "float32", "fp8-fp4"; Error{kConfig} for others.
ExportDtype parse_export_dtype(const std::string& name);

struct ExportOptions {
  ExportDtype dtype = ExportDtype::kExact;
  uint64_t max_shard_bytes = uint64_t{5'000'000'000};
  std::string drafter = kKeepDrafter;   // "keep", "drop", or a folder whose drafter is attached (checkpoint/drafter.h)
};

struct ExportReport {
  int64_t n_tensors = 0, n_files = 0;
  uint64_t data_bytes = 0;
  int64_t n_rounded = 0;                             // tensors some of whose values the dtype cannot hold
  int64_t n_nvfp4 = 0, n_nvfp4_as_fp4 = 0;           // fp8-fp4 of an NVFP4 source: its matrices, and those that FP4 holds exactly
  int64_t n_lossy_repacks = 0;                       // FP4: blocks of 128x128 that FP8 hardware cannot hold exactly (kernels/quant.h)
  bool mtp_missing = false;                          // the source's config has MTP layers, its files do not: the export has neither
  bool mtp_dropped = false, drafter_dropped = false; // by options.drafter: MTP layers, a DSpark drafter
  int64_t n_carried_tensors = 0;                     // of a DSpark drafter, among n_tensors
  uint64_t carried_bytes = 0;                        // among data_bytes
  std::string drafter_folder;                        // where they came from; empty = there are none
  std::vector<std::string> written_files;            // besides the weights
  std::vector<std::string> not_carried;              // what the source has and the export does not
  std::vector<std::string> transformers_obstacles;   // why transformers would not read it; empty = it would
};

/// Writes `to` (which must not exist, or be empty) from `source`; complete or absent.
/// Errors  kConfig: `to` is not empty, FP4 of an odd width; kNumerics: weights that are not finite; kResource: disk
ExportReport export_model(const WeightSource& source, const fs::path& to, const ExportOptions& options);

/// What in the storage of this config transformers 5.23 cannot read: it infers FP8 blocks from the shape of the scales.
std::vector<std::string> transformers_obstacles(const ModelConfig& config);

}  // namespace temper
