#pragma once
// manifest.json of a training checkpoint: what is in it and where each byte lies.  docs/checkpoint_format.md has the bytes.
// A checkpoint without its manifest does not exist: it is written last.

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "checkpoint/safetensors_header.h"

namespace temper {

/// A box of a logical tensor, as one rank stored it.
///   start, shape  where the box lies in the logical tensor
///   offset        of its first byte in `file`; the box is stored row by row
///   xxh3          of its bytes (XXH3, 64 bits)
struct ManifestPiece {
  std::string file;   // beside the manifest
  std::vector<int64_t> start, shape;
  uint64_t offset = 0, bytes = 0, xxh3 = 0;
};

struct ManifestTensor {
  std::string name;
  StoredDtype dtype = StoredDtype::kF32;
  std::vector<int64_t> shape;
  std::vector<ManifestPiece> pieces;   // cover the tensor without overlap
};

/// A further file of the checkpoint (recipe.toml, config.json, ...).
struct ManifestFile {
  std::string name;
  uint64_t bytes = 0, xxh3 = 0;
};

struct Manifest {
  int64_t step = 0;
  uint64_t seed = 0;
  Json mesh = Json::object();            // {"world_size": 1, ...} when it was written; any other mesh may load it
  Json data_position = Json::object();   // the data loader's, not looked at here
  Json state = Json::object();           // the trainer's, not looked at here
  Json carried = Json::array();          // parts of the model that are elsewhere, by record (checkpoint/drafter.h)
  std::vector<ManifestTensor> tensors;
  std::vector<ManifestFile> files;
};

inline constexpr int64_t kManifestVersion = 1;
inline constexpr const char* kManifestName = "manifest.json";

/// The text of manifest.json; it carries a digest of itself.
std::string render_manifest(const Manifest& manifest);

/// Errors  kCheckpoint: not a manifest, a version from the future, digest wrong, pieces that overlap or leave gaps
Manifest parse_manifest(std::string_view text, const std::string& where);

uint64_t xxh3_of(std::span<const std::byte> bytes);
/// The same of bytes that come in parts.
class Xxh3 {
 public:
  Xxh3();
  ~Xxh3();
  Xxh3(const Xxh3&) = delete;
  Xxh3& operator=(const Xxh3&) = delete;
  void add(std::span<const std::byte> bytes);
  uint64_t value() const;

 private:
  void* state_;
};
/// 16 hexadecimal digits, and back.  Error{kCheckpoint} if they are not.
std::string digest_text(uint64_t digest);
uint64_t parse_digest(const Json& text, const std::string& where);

}  // namespace temper
