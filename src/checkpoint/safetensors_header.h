#pragma once
// The header of a .safetensors file: 8 bytes little-endian length N, N bytes of JSON, then the data.
// No torch and no file access here: the parser takes bytes, so it can be fuzzed by itself (tests/fuzz/).

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/stored_tensor.h"

namespace temper {

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

/// The same of a file that ends with its header, as range requests fetch it: how many bytes of data belong to it, the header says.
SafetensorsHeader parse_safetensors_header_alone(std::span<const std::byte> head, const std::string& where);
/// True if a file of `file_bytes` bytes ends with its header although the header lists data.
bool ends_with_its_header(std::span<const std::byte> head, uint64_t file_bytes);

/// The bytes a file of these tensors starts with (length and JSON, padded with blanks to a multiple of 8).
/// Sets `offset` and `bytes` of every tensor: data in the given order.  REQUIRES valid shapes and distinct names.
std::string render_safetensors_header(std::vector<StoredTensor>& tensors, const std::map<std::string, std::string>& metadata);

}  // namespace temper
