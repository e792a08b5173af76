#include "checkpoint/manifest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <charconv>
#include <unordered_set>

#include "base/json_integer.h"
#include "base/memory_reserve.h"

namespace temper {
namespace {

constexpr std::string_view kFormat = "temper-checkpoint";
constexpr int64_t kMostSteps = int64_t{1} << 40;
constexpr size_t kMostPieces = 16384;   // each is compared with each

[[noreturn]] void damaged_manifest(std::string what, const std::string& where) {
  throw Error({.kind = ErrorKind::kCheckpoint,
               .what = std::move(what),
               .where = where,
               .fix = "the checkpoint is damaged: resume from an earlier one of the same run, after removing this folder"});
}

std::string hex(uint64_t digest) { return fmt::format("{:016x}", digest); }

uint64_t parse_hex(const Json& text, const std::string& where) {
  uint64_t value = 0;
  if (!text.is_string() || text.get_ref<const std::string&>().size() != 16) damaged_manifest("a digest is not 16 hexadecimal digits", where);
  const std::string& digits = text.get_ref<const std::string&>();
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + 16, value, 16);
  if (error != std::errc() || end != digits.data() + 16) damaged_manifest("a digest is not 16 hexadecimal digits", where);
  return value;
}

uint64_t number(const Json& object, std::string_view key, const std::string& where) {
  return static_cast<uint64_t>(json_integer(object, key, {0, INT64_MAX}, where, ErrorKind::kCheckpoint));
}

std::string text_member(const Json& object, std::string_view key, const std::string& where) {
  const Json& value = json_member(object, key, where, ErrorKind::kCheckpoint);
  if (!value.is_string()) damaged_manifest(fmt::format("\"{}\" is not a string", key), where);
  return value.get<std::string>();
}

bool is_plain(const std::string& name) { return !name.empty() && fs::path(name).filename() == name && name != "." && name != ".."; }

// A file of the folder; with `inner_folder`, also of a folder in it.
std::string file_name(const Json& object, std::string_view key, const std::string& where, bool inner_folder = false) {
  const std::string name = text_member(object, key, where);
  const size_t slash = inner_folder ? name.find('/') : std::string::npos;
  if (slash == std::string::npos ? !is_plain(name) : !is_plain(name.substr(0, slash)) || !is_plain(name.substr(slash + 1)))
    damaged_manifest(fmt::format("\"{}\" is not a file of the checkpoint's folder", name), where);
  return name;
}

std::vector<int64_t> sizes(const Json& object, std::string_view key, const std::string& where) {
  const Json& list = json_member(object, key, where, ErrorKind::kCheckpoint);
  if (!list.is_array()) damaged_manifest(fmt::format("\"{}\" is not a list", key), where);
  std::vector<int64_t> values;
  for (const Json& value : list) {
    if (!value.is_number_integer() || value.get<int64_t>() < 0) damaged_manifest(fmt::format("\"{}\" has an entry that is not a size", key), where);
    values.push_back(value.get<int64_t>());
  }
  return values;
}

bool overlap(const ManifestPiece& a, const ManifestPiece& b) {
  for (size_t d = 0; d < a.start.size(); ++d)
    if (a.start[d] >= b.start[d] + b.shape[d] || b.start[d] >= a.start[d] + a.shape[d]) return false;
  return true;
}

// Boxes inside the tensor, pairwise disjoint, of the tensor's size in total: an exact cover.
void check_cover(const ManifestTensor& tensor, const std::string& where) {
  const auto elements = element_count(tensor.shape);
  if (!elements || *elements > static_cast<uint64_t>(INT64_MAX) / stored_dtype_bytes(tensor.dtype)) damaged_manifest(fmt::format("{} has an impossible shape", tensor.name), where);
  if (tensor.pieces.size() > kMostPieces) damaged_manifest(fmt::format("{} has {} pieces, at most {} are read", tensor.name, tensor.pieces.size(), kMostPieces), where);
  uint64_t covered = 0;
  for (const ManifestPiece& piece : tensor.pieces) {
    bool inside = piece.start.size() == tensor.shape.size() && piece.shape.size() == tensor.shape.size();
    for (size_t d = 0; inside && d < tensor.shape.size(); ++d) inside = piece.start[d] <= tensor.shape[d] && piece.shape[d] <= tensor.shape[d] - piece.start[d];
    if (!inside) damaged_manifest(fmt::format("a piece of {} lies outside of its shape [{}]", tensor.name, fmt::join(tensor.shape, ", ")), where);
    const uint64_t count = *element_count(piece.shape);
    if (piece.bytes != count * stored_dtype_bytes(tensor.dtype)) damaged_manifest(fmt::format("a piece of {} has {} bytes, its shape needs another number", tensor.name, piece.bytes), where);
    covered += count;
  }
  for (size_t i = 0; i < tensor.pieces.size(); ++i)
    for (size_t j = i + 1; j < tensor.pieces.size(); ++j)
      if (*elements > 0 && tensor.pieces[i].bytes > 0 && tensor.pieces[j].bytes > 0 && overlap(tensor.pieces[i], tensor.pieces[j]))
        damaged_manifest(fmt::format("pieces {} and {} of {} overlap", i, j, tensor.name), where);
  if (covered != *elements) damaged_manifest(fmt::format("the pieces of {} hold {} of {} elements", tensor.name, covered, *elements), where);
}

Json to_json(const ManifestTensor& tensor) {
  Json pieces = Json::array();
  for (const ManifestPiece& piece : tensor.pieces)
    pieces.push_back({{"file", piece.file}, {"start", piece.start}, {"shape", piece.shape}, {"offset", piece.offset}, {"bytes", piece.bytes}, {"xxh3", hex(piece.xxh3)}});
  return {{"name", tensor.name}, {"dtype", std::string(stored_dtype_name(tensor.dtype))}, {"shape", tensor.shape}, {"pieces", std::move(pieces)}};
}

ManifestTensor tensor_from(const Json& json, const std::string& where) {
  ManifestTensor tensor;
  tensor.name = text_member(json, "name", where);
  const std::string at = where + ", tensor " + tensor.name;
  const auto dtype = parse_stored_dtype(text_member(json, "dtype", at));
  if (!dtype) damaged_manifest("unknown dtype", at);
  tensor.dtype = *dtype;
  tensor.shape = sizes(json, "shape", at);
  const Json& pieces = json_member(json, "pieces", at, ErrorKind::kCheckpoint);
  if (!pieces.is_array()) damaged_manifest("\"pieces\" is not a list", at);
  for (const Json& piece : pieces)
    tensor.pieces.push_back({.file = file_name(piece, "file", at),
                             .start = sizes(piece, "start", at),
                             .shape = sizes(piece, "shape", at),
                             .offset = number(piece, "offset", at),
                             .bytes = number(piece, "bytes", at),
                             .xxh3 = parse_hex(json_member(piece, "xxh3", at, ErrorKind::kCheckpoint), at)});
  check_cover(tensor, at);
  return tensor;
}

}  // namespace

uint64_t xxh3_of(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

Xxh3::Xxh3() : state_(XXH3_createState()) { XXH3_64bits_reset(static_cast<XXH3_state_t*>(state_)); }
Xxh3::~Xxh3() { XXH3_freeState(static_cast<XXH3_state_t*>(state_)); }
void Xxh3::add(std::span<const std::byte> bytes) { XXH3_64bits_update(static_cast<XXH3_state_t*>(state_), bytes.data(), bytes.size()); }
uint64_t Xxh3::value() const { return XXH3_64bits_digest(static_cast<const XXH3_state_t*>(state_)); }

std::string digest_text(uint64_t digest) { return hex(digest); }
uint64_t parse_digest(const Json& text, const std::string& where) { return parse_hex(text, where); }

std::string render_manifest(const Manifest& manifest) {
  Json files = Json::array(), tensors = Json::array();
  for (const ManifestFile& file : manifest.files) files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"xxh3", hex(file.xxh3)}});
  for (const ManifestTensor& tensor : manifest.tensors) {
    check_memory();
    tensors.push_back(to_json(tensor));
  }
  Json body = {{"format", std::string(kFormat)}, {"version", kManifestVersion}, {"step", manifest.step},   {"seed", manifest.seed},
               {"mesh", manifest.mesh},          {"data_position", manifest.data_position}, {"state", manifest.state},
               {"files", std::move(files)},      {"tensors", std::move(tensors)}};
  if (!manifest.carried.empty()) body["carried"] = manifest.carried;
  const std::string text = body.dump(1);
  // The digest is the last member, over the text before it: "{ ... <text>" + ",\n \"xxh3\": \"...\"\n}\n".
  const std::string covered = text.substr(0, text.size() - 2);
  return fmt::format("{},\n \"xxh3\": \"{}\"\n}}\n", covered, hex(xxh3_of(std::as_bytes(std::span(covered)))));
}

Manifest parse_manifest(std::string_view text, const std::string& where) {
  const Json json = parse_json(text, where, ErrorKind::kCheckpoint);
  if (!json.is_object() || json.value("format", Json()) != Json(std::string(kFormat))) damaged_manifest("this is not the manifest of a checkpoint", where);
  const int64_t version = json_integer(json, "version", {0, INT64_MAX}, where, ErrorKind::kCheckpoint);
  if (version != kManifestVersion)
    throw Error({.kind = ErrorKind::kCheckpoint,
                 .what = fmt::format("the checkpoint has format version {}, this program reads version {}", version, kManifestVersion),
                 .where = where,
                 .fix = "use the program that wrote it, or export its weights with that program"});
  const size_t tail = text.rfind(",\n \"xxh3\": ");
  if (tail == std::string_view::npos || parse_hex(json_member(json, "xxh3", where, ErrorKind::kCheckpoint), where) != xxh3_of(std::as_bytes(std::span(text.substr(0, tail)))))
    damaged_manifest("the manifest does not have the digest it claims", where);

  Manifest manifest;
  manifest.step = json_integer(json, "step", {0, kMostSteps}, where, ErrorKind::kCheckpoint);
  manifest.seed = number(json, "seed", where);
  manifest.mesh = json_member(json, "mesh", where, ErrorKind::kCheckpoint);
  manifest.data_position = json_member(json, "data_position", where, ErrorKind::kCheckpoint);
  manifest.state = json_member(json, "state", where, ErrorKind::kCheckpoint);
  if (const auto carried = json.find("carried"); carried != json.end()) manifest.carried = *carried;
  for (const Json& file : json_member(json, "files", where, ErrorKind::kCheckpoint))
    manifest.files.push_back({.name = file_name(file, "name", where, /*inner_folder=*/true),
                              .bytes = number(file, "bytes", where),
                              .xxh3 = parse_hex(json_member(file, "xxh3", where, ErrorKind::kCheckpoint), where)});
  std::unordered_set<std::string> names;
  for (const Json& tensor : json_member(json, "tensors", where, ErrorKind::kCheckpoint)) {
    manifest.tensors.push_back(tensor_from(tensor, where));
    if (!names.insert(manifest.tensors.back().name).second) damaged_manifest(fmt::format("two tensors are named {}", manifest.tensors.back().name), where);
  }
  return manifest;
}

}  // namespace temper
