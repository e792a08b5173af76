// Any bytes as a training checkpoint whose digests are right: two bytes say how long the manifest is (without its last brace), the rest
// is rank-0.safetensors.  Digests of manifest and pieces are made right, then every tensor is read, or refused with Error.
// fuzz sources: src/checkpoint/manifest.cpp src/checkpoint/safetensors.cpp src/checkpoint/safetensors_header.cpp src/checkpoint/training_checkpoint.cpp src/tensor/tensor.cpp
// fuzz links: torch

#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "checkpoint/training_checkpoint.h"

namespace {

using namespace temper;

constexpr int64_t kMostElements = 1 << 20;

void write(const fs::path& path, std::string_view text) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  std::fwrite(text.data(), 1, text.size(), file);
  std::fclose(file);
}

std::string with_digest(std::string_view body) { return fmt::format("{},\n \"xxh3\": \"{:016x}\"\n}}\n", body, xxh3_of(std::as_bytes(std::span(body)))); }

// The manifest with right digests of the pieces that lie in the file.
std::string with_right_digests(std::string_view body, std::string_view rank_file) {
  Json json = Json::parse(std::string(body) + "}", nullptr, /*allow_exceptions=*/false);
  if (json.is_object() && json.contains("tensors") && json["tensors"].is_array()) {
    json.erase("xxh3");
    for (Json& tensor : json["tensors"]) {
      if (!tensor.is_object() || !tensor.contains("pieces") || !tensor["pieces"].is_array()) continue;
      for (Json& piece : tensor["pieces"]) {
        if (!piece.is_object()) continue;
        const Json offset = piece.value("offset", Json()), bytes = piece.value("bytes", Json());
        if (!offset.is_number_unsigned() || !bytes.is_number_unsigned()) continue;
        const uint64_t begin = offset.get<uint64_t>(), n = bytes.get<uint64_t>();
        if (begin <= rank_file.size() && n <= rank_file.size() - begin) piece["xxh3"] = fmt::format("{:016x}", xxh3_of(std::as_bytes(std::span(rank_file.substr(begin, n)))));
      }
    }
    const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    return with_digest(std::string_view(text).substr(0, text.size() - 1));
  }
  return with_digest(body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fs::path folder = [] {
    const fs::path made = "/dev/shm/temper_checkpoint_fuzz." + std::to_string(::getpid()) + "/step-3";
    fs::create_directories(made);
    return made;
  }();
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const size_t length = std::min<size_t>(data[0] | data[1] << 8, bytes.size());
  const std::string_view rank_file = bytes.substr(length);
  write(folder / "rank-0.safetensors", rank_file);
  write(folder / kManifestName, with_right_digests(bytes.substr(0, length), rank_file));
  try {
    const TrainingCheckpoint checkpoint(folder);
    for (const ManifestTensor& tensor : checkpoint.manifest().tensors) {
      int64_t n = 1;
      for (const int64_t dim : tensor.shape) n = dim > kMostElements / std::max<int64_t>(n, 1) ? kMostElements + 1 : n * dim;
      if (n <= kMostElements && checkpoint.tensor(tensor.name).numel() != n) std::abort();
    }
    checkpoint.verify();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kCheckpoint && error.kind() != ErrorKind::kData) std::abort();
  }
  return 0;
}
