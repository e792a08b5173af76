#pragma once
// The token file of `temper probe`:
//   {"input_ids": [[...]], "labels": [[...]], "document_lengths": [[...]]}
// labels (optional, default: the ids) are aligned with the ids, -100 = not trained.  document_lengths (optional, default: one
// document a row) are the lengths of the documents packed into each row.

#include <cstdint>
#include <vector>

#include "base/files.h"

namespace temper {

/// Rows one after another; documents never cross a row.
struct TokenFile {
  int64_t batch_size = 0, seq_len = 0;
  std::vector<int64_t> input_ids;           // [B * S]
  std::vector<int64_t> labels;              // [B * S]
  std::vector<int64_t> document_lengths;    // sums to B * S, each > 0
};

/// Errors  kData, naming the row and the column: not JSON, no or empty rows, rows of unequal length, an id or label outside
///         [0, vocab_size), labels of another shape, lengths that do not sum to the row
TokenFile read_token_file(const fs::path& path, int64_t vocab_size);

}  // namespace temper
