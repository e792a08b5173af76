#pragma once
// Tokenised samples in memory: the form in which data waits to be packed.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"

namespace temper {

/// One conversation or (part of a) document as tokens.
///   ids      token ids, at least 2
///   weights  as long as ids: weight of the loss of this token as a target; 0 = not trained.  weights[0] never counts:
///            nothing predicts the first token.
struct EncodedSample {
  std::vector<int32_t> ids;
  std::vector<float> weights;

  /// Targets that are trained: weights above 0 behind the first token.
  int64_t n_trained() const;
};

/// Where a sample comes from.
struct SampleOrigin {
  int64_t row = 0;    // of its source, from 0
  int64_t line = 0;   // of the source's file, from 1: where the row begins
  int32_t part = 0;   // of the samples the row became (turns, pieces of a text), from 0
};

/// A growing list of samples, one flat array of ids and one of weights: 8 bytes a token.
/// Threads: const methods from any thread.
class SampleStore {
 public:
  /// `source` groups samples that share a weight.
  void add(const EncodedSample& sample, int32_t source, const SampleOrigin& origin = {});

  int64_t size() const { return static_cast<int64_t>(source_.size()); }
  int64_t n_tokens() const { return offsets_.back(); }
  int64_t n_trained_tokens() const;
  int64_t longest() const;   // tokens of the longest sample, 0 if there is none
  int64_t length(int64_t i) const { return offsets_[i + 1] - offsets_[i]; }
  int32_t source(int64_t i) const { return source_[i]; }
  const SampleOrigin& origin(int64_t i) const { return origins_[i]; }
  std::span<const int32_t> ids(int64_t i) const { return std::span(ids_).subspan(offsets_[i], length(i)); }
  std::span<const float> weights(int64_t i) const { return std::span(weights_).subspan(offsets_[i], length(i)); }
  /// Hash of every id, weight and border (not of the origins), as hexadecimal: says whether a resumed run sees the same data.
  std::string digest() const;

 private:
  std::vector<int32_t> ids_;
  std::vector<float> weights_;
  std::vector<int64_t> offsets_{0};
  std::vector<int32_t> source_;
  std::vector<SampleOrigin> origins_;
};

}  // namespace temper
