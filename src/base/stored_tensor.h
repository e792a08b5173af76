#pragma once
// Tensors as files hold them: element types, names, shapes, and the ways a matrix is encoded.
// No torch here: the parsers of file headers take bytes and can be fuzzed by themselves (tests/fuzz/).

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace temper {

/// The element types of safetensors (names as written in the header).
enum class StoredDtype { kF64, kF32, kF16, kBF16, kF8_E4M3, kF8_E5M2, kF8_E8M0, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool };

std::string_view stored_dtype_name(StoredDtype dtype);          // "F8_E4M3"
std::optional<StoredDtype> parse_stored_dtype(std::string_view name);
uint64_t stored_dtype_bytes(StoredDtype dtype);                 // of one element

/// How files represent a matrix of the model (docs/checkpoint_format.md, "Block formats").
///   kPlain        elements of one float or integer type
///   kFp8Block128  codes F8_E4M3, one scale for each block of 128 x 128
///   kFp4Block32   codes I8 (two E2M1 in a byte), one scale for each 32 columns of a row
///   kNvfp4        the same codes, one E4M3 scale for each 16 columns, one F32 factor for the matrix; only read, never written
enum class Encoding { kPlain, kFp8Block128, kFp4Block32, kNvfp4 };

/// The element type of the codes; REQUIRES a block encoding.
StoredDtype code_dtype(Encoding encoding);

/// One tensor of a file.
///   offset  of its first byte, counted from the start of the file
struct StoredTensor {
  std::string name;
  StoredDtype dtype = StoredDtype::kF32;
  std::vector<int64_t> shape;
  uint64_t offset = 0, bytes = 0;
};

/// Elements of a shape; nothing if a size is negative or the product does not fit 63 bits.
std::optional<uint64_t> element_count(std::span<const int64_t> shape);

}  // namespace temper
