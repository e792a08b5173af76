#include "base/stored_tensor.h"

#include <algorithm>
#include <iterator>
#include <limits>

namespace temper {
namespace {

struct DtypeRow {
  StoredDtype dtype;
  std::string_view name;
  uint64_t bytes;
};
constexpr DtypeRow kDtypes[] = {
    {StoredDtype::kF64, "F64", 8},         {StoredDtype::kF32, "F32", 4},         {StoredDtype::kF16, "F16", 2},
    {StoredDtype::kBF16, "BF16", 2},       {StoredDtype::kF8_E4M3, "F8_E4M3", 1}, {StoredDtype::kF8_E5M2, "F8_E5M2", 1},
    {StoredDtype::kF8_E8M0, "F8_E8M0", 1}, {StoredDtype::kI64, "I64", 8},         {StoredDtype::kI32, "I32", 4},
    {StoredDtype::kI16, "I16", 2},         {StoredDtype::kI8, "I8", 1},           {StoredDtype::kU64, "U64", 8},
    {StoredDtype::kU32, "U32", 4},         {StoredDtype::kU16, "U16", 2},         {StoredDtype::kU8, "U8", 1},
    {StoredDtype::kBool, "BOOL", 1},
};

const DtypeRow& row_of(StoredDtype dtype) {
  return *std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](const DtypeRow& row) { return row.dtype == dtype; });
}

}  // namespace

std::string_view stored_dtype_name(StoredDtype dtype) { return row_of(dtype).name; }
uint64_t stored_dtype_bytes(StoredDtype dtype) { return row_of(dtype).bytes; }

std::optional<StoredDtype> parse_stored_dtype(std::string_view name) {
  for (const DtypeRow& row : kDtypes)
    if (row.name == name) return row.dtype;
  return std::nullopt;
}

std::optional<uint64_t> element_count(std::span<const int64_t> shape) {
  uint64_t count = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(count, static_cast<uint64_t>(size), &count)) return std::nullopt;
  }
  if (count > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return count;
}

StoredDtype code_dtype(Encoding encoding) { return encoding == Encoding::kFp8Block128 ? StoredDtype::kF8_E4M3 : StoredDtype::kI8; }

}  // namespace temper
