#pragma once
// Where the documents of a flat batch begin and which compressed entries they have.  docs/deepseek_v4.md, "Packed documents".
//
// Tokens of all documents stand one after another; so do the compressed entries of one ratio.  A document of n tokens
// has floor(n / ratio) entries; its last n mod ratio tokens form none.

#include <vector>

#include "tensor/tensor.h"

namespace temper {

/// The compressed entries of one ratio.  N = n_entries; all tensors int64.
struct EntryTable {
  int64_t ratio = 0, n_entries = 0;
  int64_t max_entries = 0;          // most entries of one document
  int64_t n_seeing_tokens = 0;      // tokens that see at least one entry
  std::vector<int64_t> counts, starts;   // per document: entries, row of the first one
  Tensor first_token;   // [N] row of the entry's first token
  Tensor previous;      // [N] row of the first token of the block before it in the same document, -1 = none
  Tensor positions;     // [N] position of the first token: where the entry is rotated
  Tensor begin, end;    // [T] token t sees the entries [begin, end): those whose last token is at or before t
};

struct DocumentLayout {
  int64_t n_tokens = 0;
  std::vector<int64_t> lengths, starts;   // per document
  Tensor positions;                       // [T] int64, from 0 in each document

  /// Error{kData} for an empty document or no document at all.
  static DocumentLayout make(const std::vector<int64_t>& document_lengths, c10::Device device = c10::DeviceType::CPU);

  EntryTable entries(int64_t ratio) const;
  /// [T] row of the first token that each token sees through a window of `window` tokens, itself included.
  Tensor window_begin(int64_t window) const;
};

}  // namespace temper
