#pragma once
// A folder that is complete or absent: it is filled next to its place, under another name.

#include "base/files.h"

namespace temper {

/// Filled as `folder`.partial; finish() gives it its name.  A mark in it says that this program made it, and is locked while it
/// works: only a marked and unlocked folder is taken for what a killed run left, and removed.  Where something else has this
/// name, it stays as it is, and the next free name is taken: `folder`.partial-2.
class PartialFolder {
 public:
  /// Errors  kResource
  explicit PartialFolder(const fs::path& folder);
  ~PartialFolder();   // without finish(): nothing is left
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;

  const fs::path& path() const { return partial_; }
  /// Renames it to `folder`, which must not exist or be empty; with `replace` the two are swapped and the old one is removed.
  void finish(bool replace = false);

 private:
  bool take(const fs::path& partial);

  fs::path folder_, partial_;
  int lock_ = -1;
};

/// True for names that PartialFolder gives: "x.partial", "x.partial-2"; `name` is then "x".
bool is_partial_name(const fs::path& path, std::string& name);
/// True for a folder that carries the mark, or has nothing in it, and which no living process holds.
bool is_left_behind(const fs::path& folder);
/// Marks a folder as one that may be removed: the first step of removing it, so that the next run can end what a kill interrupts.
void mark_as_left_behind(const fs::path& folder);
/// Removes a folder with all that is in it, the mark last.
void remove_marked_folder(const fs::path& folder);

}  // namespace temper
