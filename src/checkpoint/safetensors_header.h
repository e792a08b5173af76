#pragma once
// The header of a .safetensors file: 8 bytes little-endian length N, N bytes of JSON, then the data.
// No torch and no file access here: the parser takes bytes, so it can be fuzzed by itself (tests/fuzz/).

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace temper {

/// The element types of the format (names as written in the header).
enum class StoredDtype { kF64, kF32, kF16, kBF16, kF8_E4M3, kF8_E5M2, kF8_E8M0, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool };

std::string_view stored_dtype_name(StoredDtype dtype);          // "F8_E4M3"
std::optional<StoredDtype> parse_stored_dtype(std::string_view name);
uint64_t stored_dtype_bytes(StoredDtype dtype);                 // of one element

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

/// All of it, checked: tensors sorted by offset, without holes, overlap or bytes left over.
struct SafetensorsHeader {
  std::vector<StoredTensor> tensors;
  std::map<std::string, std::string> metadata;   // the "__metadata__" entry
};

/// The longest header that is read: the limit of the reference implementation.
inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;

/// Parses the header of a file of `file_bytes` bytes.
///   head    the file's first bytes: the 8 of the length and all of the JSON (more does no harm)
///   Errors  Error{kCheckpoint} for every fault, naming `where` and the tensor
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> head, uint64_t file_bytes, const std::string& where);

/// The bytes a file of these tensors starts with (length and JSON, padded with blanks to a multiple of 8).
/// Sets `offset` and `bytes` of every tensor: data in the given order.  REQUIRES valid shapes and distinct names.
std::string render_safetensors_header(std::vector<StoredTensor>& tensors, const std::map<std::string, std::string>& metadata);

}  // namespace temper
