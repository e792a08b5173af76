#pragma once
// Files of rows -> tokenised samples: read, detect the format, convert, validate, split, encode, with one policy for bad rows.

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "data/data_config.h"
#include "data/row_format.h"
#include "data/sample_store.h"

namespace temper {

/// Row -> tokens and weights: one sample, or several that train different parts of the row.  Throws BadRow if the row cannot
/// be encoded.  Called from several threads at once.
using SampleEncoder = std::function<std::vector<EncodedSample>(const TrainingRow&)>;

/// What became of the rows; nothing leaves the data without a line here.
struct LoadReport {
  struct Noted {
    int64_t n_rows = 0;
    std::string first;   // "file:line"
  };
  struct Source {
    std::string path, format;
    int64_t n_rows = 0, n_train_samples = 0, n_held_out_samples = 0, n_split_documents = 0;
    int64_t n_bad = 0, n_over_length = 0, n_truncated = 0;
    int64_t n_cut_to_nothing = 0;            // on_over_length = "truncate", and nothing that is trained comes before the cut
    std::array<Noted, kNumRowNotes> notes;   // by RowNote
    bool also_trained = false;               // a held-out file that is trained on too
    std::vector<std::string> examples;       // "file:line: reason" of the first rows skipped or cut
    int64_t n_left_out() const { return n_bad + n_over_length + n_cut_to_nothing; }
    /// One sentence for each thing that a user should know of; `warnings` with the source's path, and with the counts of rows skipped or cut.
    std::vector<std::string> note_texts() const, warnings() const;
  };
  std::vector<Source> sources;
  std::string position_warning;          // samples longer than the model's max_position_embeddings; empty if there are none
  std::vector<std::string> warnings() const;
  int64_t n_skipped() const;
  /// For events.jsonl: {"event": "data", "sources": [...]}.
  Json to_json() const;
  /// One line for each source, and one for each reason: for people.
  std::string to_text() const;
};

struct LoadedData {
  std::shared_ptr<SampleStore> train, held_out;
  LoadReport report;
};

/// Loads everything a [data] section names.  Relative paths start at `base_folder`.  The result does not depend on the number
/// of threads.  A row is held out if the hash of its text falls into held_out_fraction: equal rows fall on one side.
/// Errors  Error{kData} with file:line and reason: a bad row under on_bad_row = "stop", an over-length one under
///         on_over_length = "error", a file without rows, a damaged file; Error{kConfig} for a section without sources.
LoadedData load_samples(const DataConfig& config, const fs::path& base_folder, const SampleEncoder& encode, int n_threads);
/// The same, but sources without a usable row are not an error.
LoadedData count_samples(const DataConfig& config, const fs::path& base_folder, const SampleEncoder& encode, int n_threads);

}  // namespace temper
