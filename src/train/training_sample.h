#pragma once
// One packed row as training sees it, token by token: what `temper inspect --sample` shows.

#include "data/data_loader.h"
#include "data/load_samples.h"
#include "data/tokenizer.h"

namespace temper {

/// A sample in the row: a conversation (or one of its turns), a text (or a piece of it).
///   row, line   of its source: row from 0, line from 1
///   part        which of the samples that the row became
///   text        all of its tokens as text: the rendered conversation; valid UTF-8, bytes of a character that a cut divided are "?"
struct SampleDocument {
  std::string source;
  int64_t row = 0, line = 0, part = 0;
  int64_t first_token = 0, n_tokens = 0, n_trained = 0;
  std::string text;
};

///   weight      in the loss, 0 if it is not a target
///   document    index into documents
///   begin, end  its bytes in the text of its document
struct SampleToken {
  int32_t id = 0;
  float weight = 0;
  size_t document = 0;
  int64_t begin = 0, end = 0;
};

struct TrainingSample {
  int64_t index = 0;
  std::vector<SampleToken> tokens;
  std::vector<SampleDocument> documents;

  std::string_view text_of(const SampleToken& token) const {
    return std::string_view(documents[token.document].text).substr(token.begin, token.end - token.begin);
  }
  /// {"sample", "tokens": [{"id", "text", "trained", "weight", "row", "begin", "end"}], "documents": [...]}
  Json to_json() const;
  /// Each document's text with its trained stretches marked: in colour, or between ⟦ and ⟧ (⟦0.5: if their weight is not 1).
  std::string to_text(bool colour) const;
};

/// Packed row number `index` of those that training takes, in its order (step, micro-batch, row), from 0.  Ids, mask and weights
/// are read from the batch that training gets.
/// Error{kData} if there are fewer rows.
TrainingSample training_sample(const DataLoader& loader, const DataConfig& config, const Tokenizer& tokenizer, int64_t index);

}  // namespace temper
