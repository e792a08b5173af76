#include "data/sample_store.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

#include "base/error.h"

namespace temper {

int64_t EncodedSample::n_trained() const {
  int64_t n = 0;
  for (size_t i = 1; i < weights.size(); ++i) n += weights[i] > 0;
  return n;
}

void SampleStore::add(const EncodedSample& sample, int32_t source, const SampleOrigin& origin) {
  if (sample.ids.size() < 2 || sample.ids.size() != sample.weights.size())
    throw Error({.kind = ErrorKind::kInternal,
                 .what = fmt::format("a sample has {} ids and {} weights", sample.ids.size(), sample.weights.size()),
                 .where = "SampleStore::add",
                 .fix = "report this: the encoder broke its promise"});
  ids_.insert(ids_.end(), sample.ids.begin(), sample.ids.end());
  weights_.insert(weights_.end(), sample.weights.begin(), sample.weights.end());
  offsets_.push_back(static_cast<int64_t>(ids_.size()));
  source_.push_back(source);
  origins_.push_back(origin);
}

int64_t SampleStore::n_trained_tokens() const {
  int64_t n = 0;
  for (int64_t i = 0; i < size(); ++i)
    for (const float weight : weights(i).subspan(1)) n += weight > 0;
  return n;
}

int64_t SampleStore::longest() const {
  int64_t n = 0;
  for (int64_t i = 0; i < size(); ++i) n = std::max(n, length(i));
  return n;
}

std::string SampleStore::digest() const {
  const auto bytes = [](const auto& list) { return std::pair(list.data(), list.size() * sizeof(list[0])); };
  uint64_t hash = XXH3_64bits_withSeed(bytes(ids_).first, bytes(ids_).second, 0);
  hash = XXH3_64bits_withSeed(bytes(weights_).first, bytes(weights_).second, hash);
  hash = XXH3_64bits_withSeed(bytes(offsets_).first, bytes(offsets_).second, hash);
  hash = XXH3_64bits_withSeed(bytes(source_).first, bytes(source_).second, hash);
  return fmt::format("{:016x}", hash);
}

}  // namespace temper
