#pragma once
// A DSpark drafter: a part of a model that is carried, not computed.  Its tensors go from file to file byte for byte, and its
// dspark_* keys from config.json to config.json; no value of it is interpreted or held in memory.  docs/decisions/0006 has the reasons.
//
//   export of a folder     the folder's own drafter is copied
//   training               checkpoints hold a record (folder, digest), no bytes; an export copies from that folder if the digest is right
//   --drafter drop         neither tensors, keys nor ratios of it are written
//   --drafter FOLDER       that folder's drafter, if it was made for a model of this size

#include <functional>

#include "checkpoint/safetensors.h"
#include "model/deepseek_v4/release.h"

namespace temper {

/// What release.h decides by: names without wrappers (tensor_names.h), dtypes and shapes of all tensors.
std::vector<TensorHead> tensor_heads(const SafetensorsFolder& files);

/// One tensor of a part that is carried.  `name` is the one it is written under.
struct CarriedTensor {
  std::string name;
  SafetensorsFolder::Entry entry;
};

/// Where a checkpoint's drafter is and what it was.
///   keys  the dspark_* members of its config.json
///   xxh3  Drafter::digest()
struct DrafterRecord {
  std::string folder;   // absolute
  int64_t n_stages = 0, n_tensors = 0;
  uint64_t n_bytes = 0, xxh3 = 0;
  Json keys = Json::object();
  friend bool operator==(const DrafterRecord&, const DrafterRecord&) = default;
};
/// A member of the manifest's "carried" list, and back.  Error{kCheckpoint} naming `where`.
Json to_json(const DrafterRecord& record);
DrafterRecord drafter_record_from_json(const Json& json, const std::string& where);

/// The drafter in the files of a model folder.  Const methods from any thread.
class Drafter {
 public:
  /// Opens the drafter in `folder` and checks it against the sizes of the model `main` (release.h).  Only headers are read.
  /// Errors  kCheckpoint: there is none, or its layout is wrong; kConfig: it was made for another model
  Drafter(const fs::path& folder, const ModelConfig& main);

  const fs::path& folder() const { return folder_; }
  int64_t n_stages() const { return n_stages_; }
  const Json& keys() const { return keys_; }
  const std::vector<CarriedTensor>& tensors() const { return tensors_; }   // by name
  uint64_t n_bytes() const;

  /// Calls body(rows) with views of about 16 MB of the tensor's stored bytes, front to back; each leaves memory after it.
  void for_each_part(const CarriedTensor& tensor, const std::function<void(const Tensor& rows)>& body) const;
  /// XXH3 of name, dtype, shape and XXH3 of the bytes of every tensor.  Reads everything.
  uint64_t digest() const;
  DrafterRecord record() const;

 private:
  fs::path folder_;
  std::unique_ptr<const SafetensorsFolder> files_;
  std::vector<CarriedTensor> tensors_;
  Json keys_;
  int64_t n_stages_ = 0;
};

/// What a weight source carries besides its rows: its own folder's drafter, or the one a checkpoint recorded.
struct CarriedDrafter {
  fs::path folder;
  std::optional<DrafterRecord> record;
};

/// The drafter that an export writes.
///   choice  "keep": `carried`, if there is one; "drop": none; else a folder
///   Errors  as Drafter's; kCheckpoint if a recorded drafter is gone or has changed
std::optional<Drafter> choose_drafter(const std::string& choice, const std::optional<CarriedDrafter>& carried, const ModelConfig& main);
inline constexpr const char *kKeepDrafter = "keep", *kDropDrafter = "drop";

/// What its reader must know after the model was trained: for logs, manifests and model cards.
inline constexpr const char* kDrafterNote =
    "the drafter was trained with the original weights: answers do not depend on it, because every drafted token is verified, "
    "but fewer drafts may be accepted; where it has no embedding and head of its own it shares the model's";

}  // namespace temper
