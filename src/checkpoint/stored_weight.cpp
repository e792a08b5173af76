#include "checkpoint/stored_weight.h"

#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kernels/quant.h"

namespace temper {
namespace {

constexpr const char* kReadableCopy = "only blocks of 128x128 (FP8), 1x32 (FP4) and 1x16 with a factor (NVFP4) can be read: use the original release, or a bf16 copy";
constexpr int64_t kNvfp4Columns = 16;

using Shape = std::vector<int64_t>;

[[noreturn]] void refuse_file_of(std::string what, const SafetensorsFolder::Entry& entry, const char* fix) {
  refuse_files(std::move(what), entry.where(), fix);
}

std::string shape_text(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

Shape blocks(const Shape& shape, int64_t height, int64_t width) { return {(shape[0] + height - 1) / height, (shape[1] + width - 1) / width}; }

// E8M0 bytes are U8 in files of programs that lack the type.
bool is_e8m0(const StoredTensor& scale) { return scale.dtype == StoredDtype::kF8_E8M0 || scale.dtype == StoredDtype::kU8; }

// What other formats' scales look like: words for the error.
std::string other_scale(const StoredTensor& scale, const Shape& matrix) {
  if (scale.shape.empty() || scale.shape == Shape{1}) return ": one scale for the whole matrix";
  if (scale.shape == Shape{matrix[0]} || scale.shape == Shape{matrix[0], 1}) return ": one scale for each row, as compressed-tensors and W8A8 copies have";
  return "";
}

[[noreturn]] void wrong_scale(const StoredWeight& s, const TensorRow& row, const std::string& types, const Shape& needed) {
  const StoredTensor& scale = *s.scale->stored;
  refuse_file_of(fmt::format("{} is {}, needed is {} {}{}", scale.name, text_of(scale), types, shape_text(needed), other_scale(scale, row.shape)), *s.scale, kReadableCopy);
}

void need_scale(const StoredWeight& s) {
  const StoredTensor& stored = *s.weight.stored;
  if (!s.scale) refuse_file_of(fmt::format("{} is {} but has no scale", stored.name, stored_dtype_name(stored.dtype)), s.weight, kFetchAgain);
}

void check_fp8(const StoredWeight& s, const TensorRow& row) {
  need_scale(s);
  const Shape needed = blocks(row.shape, 128, 128);
  const StoredTensor& scale = *s.scale->stored;
  if (scale.shape != needed || (!is_e8m0(scale) && scale.dtype != StoredDtype::kF32)) wrong_scale(s, row, "F8_E8M0 or F32", needed);
  if (s.factor) refuse_file_of(fmt::format("{} is F8_E4M3, but {} is a factor of NVFP4", s.weight.stored->name, s.factor->stored->name), *s.factor, kReadableCopy);
}

void check_nvfp4(const StoredWeight& s, const TensorRow& row) {
  need_scale(s);
  const StoredTensor &scale = *s.scale->stored, &factor = *s.factor->stored;
  const Shape needed = {row.shape[0], row.shape[1] / kNvfp4Columns};
  if (row.shape[1] % kNvfp4Columns != 0 || scale.dtype != StoredDtype::kF8_E4M3 || scale.shape != needed) wrong_scale(s, row, "F8_E4M3 (NVFP4)", needed);
  if (factor.dtype != StoredDtype::kF32 || *element_count(factor.shape) != 1)
    refuse_file_of(fmt::format("{} is {}, NVFP4 needs one F32 number", factor.name, text_of(factor)), *s.factor, kReadableCopy);
}

void check_fp4(const StoredWeight& s, const TensorRow& row) {
  need_scale(s);
  const StoredTensor& scale = *s.scale->stored;
  const Shape needed = blocks(row.shape, 1, 32);
  if (scale.dtype == StoredDtype::kF8_E4M3 && scale.shape == Shape{row.shape[0], row.shape[1] / kNvfp4Columns})
    refuse_file_of(fmt::format("{} is a scale of NVFP4, but the factor weight_scale_2 is missing", scale.name), *s.scale, kFetchAgain);
  if (scale.shape != needed || !is_e8m0(scale)) wrong_scale(s, row, "F8_E8M0", needed);
}

// 2^k with room for 8 bits below it in bf16.
bool is_power_of_two(float value) {
  int exponent = 0;
  return std::isfinite(value) && std::abs(std::frexp(value, &exponent)) == 0.5f && exponent > -100;
}

bool all_powers_of_two(const Tensor& values) {
  const Tensor packed = values.contiguous();
  const float* data = packed.const_data_ptr<float>();
  return std::all_of(data, data + packed.numel(), is_power_of_two);
}

Tensor scale_of(const StoredWeight& s) {
  const Tensor scale = s.scale->file->tensor(*s.scale->stored);
  return s.encoding != Encoding::kNvfp4 && scale.scalar_type() == at::kByte ? scale.view(at::ScalarType::Float8_e8m0fnu) : scale;
}

float factor_of(const StoredWeight& s) { return s.factor->file->tensor(*s.factor->stored).item<float>(); }

// e2m1(code) * scale is exact in fp32; the factor rounds once.
Dequantized dequantize_nvfp4(const Tensor& codes, const Tensor& scales, float factor) {
  const int64_t n_rows = codes.size(0), n_columns = 2 * codes.size(1);
  const Tensor ones = at::full({n_rows, (n_columns + 31) / 32}, 127, at::kByte).view(at::ScalarType::Float8_e8m0fnu);
  Dequantized result = dequantize_fp4_block(codes.view(at::kChar), ones);
  const Tensor wide = scales.to(at::kFloat);
  result.value.view({n_rows, n_columns / kNvfp4Columns, kNvfp4Columns}).mul_(wide.unsqueeze(-1)).mul_(factor);
  result.n_bad = wide.numel() - at::isfinite(wide).sum().item<int64_t>() + !std::isfinite(factor);
  return result;
}

Dequantized dequantize(const StoredWeight& s, const Tensor& codes, int64_t begin, int64_t end) {
  const Tensor scales = scale_of(s);
  if (s.encoding == Encoding::kFp8Block128) return dequantize_fp8_block(codes, scales.narrow(0, begin / 128, (end + 127) / 128 - begin / 128));
  const Tensor rows = scales.narrow(0, begin, end - begin);
  return s.encoding == Encoding::kNvfp4 ? dequantize_nvfp4(codes, rows, factor_of(s)) : dequantize_fp4_block(codes, rows);
}

}  // namespace

bool is_float(StoredDtype dtype) { return dtype == StoredDtype::kBF16 || dtype == StoredDtype::kF32 || dtype == StoredDtype::kF16 || dtype == StoredDtype::kF64; }

std::string text_of(const StoredTensor& tensor) { return fmt::format("{} {}", stored_dtype_name(tensor.dtype), shape_text(tensor.shape)); }

void StoredWeight::recognise(const TensorRow& row) {
  if (expert >= 0) return;   // a fused tensor was checked as a whole
  const StoredTensor& stored = *weight.stored;
  const auto wrong = [&](const std::string& needed) { refuse_file_of(fmt::format("{} is {}, the model needs {}", stored.name, text_of(stored), needed), weight, kOtherConfig); };
  if (row.holds_ids()) {
    if ((stored.dtype != StoredDtype::kI64 && stored.dtype != StoredDtype::kI32) || stored.shape != row.shape) wrong("I64 " + shape_text(row.shape));
    return;
  }
  if (is_float(stored.dtype)) {
    if (stored.shape != row.shape) refuse_file_of(fmt::format("{} is {}, the model needs {}", stored.name, shape_text(stored.shape), shape_text(row.shape)), weight, kOtherConfig);
    if (scale) refuse_file_of(fmt::format("{} is {}, but {} is a scale for it", stored.name, stored_dtype_name(stored.dtype), scale->stored->name), *scale,
                      "two copies of the model are mixed: fetch one of them into an empty folder");
    return;
  }
  const bool matrix = row.shape.size() == 2 && row.name.ends_with(".weight");
  const bool bytes = stored.dtype == StoredDtype::kI8 || stored.dtype == StoredDtype::kU8;
  const std::string floats = fmt::format("BF16, F32, or for linear layers F8_E4M3 or packed FP4, of logical shape {}", shape_text(row.shape));
  if (matrix && bytes && stored.shape == row.shape)
    refuse_file_of(fmt::format("{} is {}: integer weights, as int8 (W8A8, QuaRot) copies have; the model needs {}", stored.name, text_of(stored), floats), weight,
           "use the original release, or a bf16 copy");
  if (!matrix || (stored.dtype != StoredDtype::kF8_E4M3 && !bytes)) wrong(floats);
  if (bytes && row.shape[1] % 2 != 0) wrong("an even number of columns for FP4");
  const Shape codes = bytes ? Shape{row.shape[0], row.shape[1] / 2} : row.shape;
  if (stored.shape != codes) wrong(fmt::format("{} {}", stored_dtype_name(stored.dtype), shape_text(codes)));
  encoding = !bytes ? Encoding::kFp8Block128 : factor ? Encoding::kNvfp4 : Encoding::kFp4Block32;
  if (encoding == Encoding::kFp8Block128) check_fp8(*this, row);
  else if (encoding == Encoding::kNvfp4) check_nvfp4(*this, row);
  else check_fp4(*this, row);
}

at::ScalarType StoredWeight::exact_dtype(const TensorRow& row) const {
  if (row.holds_ids()) return at::kLong;
  if (encoding == Encoding::kPlain) return scalar_type_of(weight.stored->dtype);
  const bool exact = encoding == Encoding::kNvfp4 ? is_power_of_two(factor_of(*this)) : is_e8m0(*scale->stored) || all_powers_of_two(scale_of(*this));
  return exact ? at::kBFloat16 : at::kFloat;
}

Tensor StoredWeight::read_rows(const TensorRow& row, int64_t begin, int64_t end) const {
  const StoredTensor& whole = *weight.stored;
  // A fused tensor [E, rows, columns] is a list of E * rows rows.
  const auto row_shape = at::IntArrayRef(whole.shape).slice(expert >= 0 ? 2 : 1);
  const int64_t first = (expert >= 0 ? expert * whole.shape[1] : 0) + first_row + begin;
  const Tensor stored = weight.file->rows(whole, first, end - begin, row_shape);
  if (encoding == Encoding::kPlain) return row.holds_ids() ? stored.to(at::kLong) : stored;
  const Dequantized result = dequantize(*this, stored, begin, end);
  if (result.n_bad > 0) refuse_file_of(fmt::format("{} has {} NaN codes or NaN scales", whole.name, result.n_bad), weight, "the file is damaged: fetch it again");
  return result.value;
}

void StoredWeight::release_rows(const TensorRow& row, int64_t begin, int64_t end) const {
  const StoredTensor& stored = *weight.stored;
  const bool fused = expert >= 0;
  const int64_t n_rows = fused ? stored.shape[0] * stored.shape[1] : stored.shape[0];
  const uint64_t row_bytes = n_rows > 0 ? stored.bytes / static_cast<uint64_t>(n_rows) : 0;
  const int64_t first = (fused ? expert * stored.shape[1] : 0) + first_row + begin;
  weight.file->release(stored.offset + static_cast<uint64_t>(first) * row_bytes, static_cast<uint64_t>(end - begin) * row_bytes);
  if (scale && end == row.shape[0]) scale->file->release(scale->stored->offset, scale->stored->bytes);
}

}  // namespace temper
