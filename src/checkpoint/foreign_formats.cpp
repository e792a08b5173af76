#include "checkpoint/foreign_formats.h"

#include <fmt/format.h>

#include "base/error.h"

namespace temper {
namespace {

constexpr const char* kOtherCopy = "use the original release, or a copy in bf16, FP8 or NVFP4 with weight_scale_2";

// Names that end like this, or with a part like this in between ("." on both sides).
struct Sign {
  std::string_view ending, part;
  const char *format, *fix;
};
constexpr const char* kCompressedTensors = "compressed-tensors (llm-compressor)";
constexpr const char* kGptq = "AWQ or GPTQ (4-bit integers)";
constexpr const char* kInt8 = "an int8 copy for Ascend (W8A8, QuaRot)";
constexpr const char* kBitsAndBytes = "bitsandbytes";
constexpr const char* kAdapter = "an adapter (LoRA) without its base model";
constexpr Sign kSigns[] = {
    {".weight_packed", "", kCompressedTensors, kOtherCopy},
    {".weight_global_scale", "", kCompressedTensors, kOtherCopy},
    {".input_global_scale", "", kCompressedTensors, kOtherCopy},
    {".weight_zero_point", "", kCompressedTensors, kOtherCopy},
    {".weight_shape", "", kCompressedTensors, kOtherCopy},
    {".qweight", "", kGptq, kOtherCopy},
    {".qzeros", "", kGptq, kOtherCopy},
    {".g_idx", "", kGptq, kOtherCopy},
    {".scales", "", kGptq, kOtherCopy},
    {".weight_offset", "", kInt8, kOtherCopy},
    {".deq_scale", "", kInt8, kOtherCopy},
    {".quant_bias", "", kInt8, kOtherCopy},
    {".input_offset", "", kInt8, kOtherCopy},
    {"", "quarot", kInt8, kOtherCopy},
    {"", "global_rotation", kInt8, kOtherCopy},
    {".SCB", "", kBitsAndBytes, kOtherCopy},
    {".absmax", "", kBitsAndBytes, kOtherCopy},
    {".quant_map", "", kBitsAndBytes, kOtherCopy},
    {"", "quant_state", kBitsAndBytes, kOtherCopy},
    {"", "lora_A", kAdapter, "merge it into its model first (peft: merge_and_unload), then use the merged folder"},
    {"", "lora_B", kAdapter, "merge it into its model first (peft: merge_and_unload), then use the merged folder"},
};

bool has_part(std::string_view name, std::string_view part) {
  for (size_t at = name.find(part); at != std::string_view::npos; at = name.find(part, at + 1)) {
    const size_t end = at + part.size();
    if ((at == 0 || name[at - 1] == '.') && (end == name.size() || name[end] == '.' || name[end] == '_')) return true;
  }
  return false;
}

}  // namespace

void refuse_foreign_format(std::string_view name, const std::string& where) {
  for (const Sign& sign : kSigns) {
    if (sign.ending.empty() ? !has_part(name, sign.part) : !name.ends_with(sign.ending)) continue;
    throw Error({.kind = ErrorKind::kCheckpoint, .what = fmt::format("{} is a tensor of {}, which cannot be read", name, sign.format), .where = where, .fix = sign.fix});
  }
}

}  // namespace temper
