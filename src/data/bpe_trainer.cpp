#include "data/bpe_trainer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <queue>
#include <unordered_set>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "data/byte_level.h"
#include "data/chat_tokens.h"
#include "data/pre_tokenizer.h"

namespace temper {
namespace {

using Pair = std::pair<int32_t, int32_t>;
struct PairHash {
  size_t operator()(const Pair& pair) const {
    return std::hash<uint64_t>()(static_cast<uint64_t>(pair.first) << 32 | static_cast<uint32_t>(pair.second));
  }
};

struct Word {
  std::vector<int32_t> ids;
  int64_t count;
};

struct PairInfo {
  int64_t count = 0;
  std::unordered_set<size_t> words;  // those that have, or once had, this pair
};

/// The largest count first; equal counts: the smaller ids first.
struct Candidate {
  int64_t count;
  Pair pair;
  bool operator<(const Candidate& other) const { return count != other.count ? count < other.count : pair > other.pair; }
};

class Merger {
 public:
  explicit Merger(std::vector<Word> words) : words_(std::move(words)) {
    for (size_t w = 0; w < words_.size(); ++w) count_pairs(w, +1, nullptr);
    for (const auto& [pair, info] : pairs_) candidates_.push({info.count, pair});
  }

  /// The pair to join next; count 0 if there is none.
  Candidate best() {
    while (!candidates_.empty()) {
      Candidate top = candidates_.top();
      const auto found = pairs_.find(top.pair);
      const int64_t count = found == pairs_.end() ? 0 : found->second.count;
      if (count == top.count && count > 0) return top;
      candidates_.pop();
      if (count > 0) candidates_.push({count, top.pair});  // its count has changed since it was put here
    }
    return {0, {}};
  }

  /// Joins every occurrence of `pair` to `joined`.
  void join(const Pair& pair, int32_t joined) {
    const std::unordered_set<size_t> words = std::move(pairs_[pair].words);
    pairs_.erase(pair);
    std::unordered_set<Pair, PairHash> changed;
    for (const size_t w : words) {
      count_pairs(w, -1, nullptr);
      join_in(words_[w].ids, pair, joined);
      count_pairs(w, +1, &changed);
    }
    pairs_.erase(pair);
    for (const Pair& other : changed) candidates_.push({pairs_[other].count, other});
  }

 private:
  void count_pairs(size_t w, int64_t sign, std::unordered_set<Pair, PairHash>* changed) {
    const Word& word = words_[w];
    for (size_t i = 0; i + 1 < word.ids.size(); ++i) {
      const Pair pair{word.ids[i], word.ids[i + 1]};
      PairInfo& info = pairs_[pair];
      info.count += sign * word.count;
      if (sign > 0) info.words.insert(w);
      if (changed) changed->insert(pair);
    }
  }

  static void join_in(std::vector<int32_t>& ids, const Pair& pair, int32_t joined) {
    size_t kept = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
      const bool here = i + 1 < ids.size() && ids[i] == pair.first && ids[i + 1] == pair.second;
      ids[kept++] = here ? joined : ids[i];
      if (here) ++i;
    }
    ids.resize(kept);
  }

  std::vector<Word> words_;
  std::unordered_map<Pair, PairInfo, PairHash> pairs_;
  std::priority_queue<Candidate> candidates_;
};

std::string json_string(std::string_view text) { return Json(text).dump(); }

std::string added_token_json(int64_t id, std::string_view content, bool special) {
  return fmt::format(R"(    {{"id": {}, "content": {}, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": {}}})",
                     id, json_string(content), special);
}

}  // namespace

void BpeTrainer::add(std::string_view text) {
  static const PreTokenizer pre_tokenizer = PreTokenizer::from_json(deepseek_pre_tokenizer(), "the V4 pre-tokenizer");
  constexpr size_t kMaxText = size_t{1} << 31;
  if (text.size() > kMaxText) {
    throw Error({.kind = ErrorKind::kData, .what = fmt::format("one text of {} bytes; at most 2 GiB can be counted at once", text.size()), .where = "", .fix = "cut the file into parts"});
  }
  std::vector<Piece> pieces;
  pre_tokenizer.split(text, pieces);
  check_interrupt();
  for (const Piece& piece : pieces) ++piece2count_[std::string(text.substr(piece.begin, piece.end - piece.begin))];
  n_bytes_ += static_cast<int64_t>(text.size());
}

TrainedBpe BpeTrainer::train(int64_t vocab_size) const {
  TrainedBpe trained;
  for (const std::string_view token : chat::kLowest) trained.tokens.emplace_back(token);
  std::vector<std::string> bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(spell_bytes(std::string(1, static_cast<char>(byte))));
  std::sort(bytes.begin(), bytes.end());  // UTF-8 sorts as code points do
  trained.tokens.insert(trained.tokens.end(), bytes.begin(), bytes.end());

  const auto n_fixed = static_cast<int64_t>(trained.tokens.size() + std::size(chat::kHighest));
  if (vocab_size < n_fixed) {
    throw Error({.kind = ErrorKind::kConfig, .what = fmt::format("vocab-size {} is below the {} fixed tokens (256 bytes and the chat tokens)", vocab_size, n_fixed), .where = "--vocab-size", .fix = fmt::format("choose {} or more", n_fixed)});
  }
  std::unordered_map<std::string, int32_t> spelling2id;
  for (size_t id = 0; id < trained.tokens.size(); ++id) spelling2id.emplace(trained.tokens[id], static_cast<int32_t>(id));

  std::vector<Word> words;
  words.reserve(piece2count_.size());
  for (const auto& [piece, count] : piece2count_) {
    Word word{{}, count};
    for (const char byte : piece) word.ids.push_back(spelling2id.at(spell_bytes(std::string(1, byte))));
    words.push_back(std::move(word));
  }
  Merger merger(std::move(words));
  const auto n_wanted = static_cast<size_t>(vocab_size) - std::size(chat::kHighest);
  while (trained.tokens.size() < n_wanted) {
    check_interrupt();
    const Candidate best = merger.best();
    if (best.count == 0) {
      throw Error({.kind = ErrorKind::kData,
                   .what = fmt::format("the text has pairs for {} tokens only, {} were asked for", trained.tokens.size() + std::size(chat::kHighest), vocab_size),
                   .where = fmt::format("{} bytes of text", n_bytes_),
                   .fix = "give more text or a smaller --vocab-size"});
    }
    const std::string &left = trained.tokens[static_cast<size_t>(best.pair.first)], &right = trained.tokens[static_cast<size_t>(best.pair.second)];
    trained.merges.emplace_back(left, right);
    const auto [found, is_new] = spelling2id.emplace(left + right, static_cast<int32_t>(trained.tokens.size()));
    if (is_new) trained.tokens.push_back(found->first);
    merger.join(best.pair, found->second);
  }
  return trained;
}

std::string TrainedBpe::tokenizer_json() const {
  std::vector<std::string> added, vocab, merge_lines;
  for (size_t i = 0; i < std::size(chat::kLowest); ++i) added.push_back(added_token_json(static_cast<int64_t>(i), chat::kLowest[i], true));
  for (size_t i = 0; i < std::size(chat::kHighest); ++i)
    added.push_back(added_token_json(static_cast<int64_t>(tokens.size() + i), chat::kHighest[i], !chat::is_text_marker(chat::kHighest[i])));
  for (size_t id = 0; id < tokens.size(); ++id) vocab.push_back(fmt::format("      {}: {}", json_string(tokens[id]), id));
  for (const auto& [left, right] : merges) merge_lines.push_back("      " + json_string(left + " " + right));
  const Json decoder = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  return fmt::format(R"({{
  "version": "1.0",
  "truncation": null,
  "padding": null,
  "added_tokens": [
{}
  ],
  "normalizer": null,
  "pre_tokenizer": {},
  "post_processor": null,
  "decoder": {},
  "model": {{
    "type": "BPE",
    "dropout": null,
    "unk_token": null,
    "continuing_subword_prefix": null,
    "end_of_word_suffix": null,
    "fuse_unk": false,
    "byte_fallback": false,
    "vocab": {{
{}
    }},
    "merges": [
{}
    ]
  }}
}}
)", fmt::join(added, ",\n"), deepseek_pre_tokenizer().dump(), decoder.dump(), fmt::join(vocab, ",\n"), fmt::join(merge_lines, ",\n"));
}

std::string TrainedBpe::tokenizer_config_json() {
  const Json config = {{"add_bos_token", false},
                       {"add_eos_token", false},
                       {"bos_token", chat::kBos},
                       {"clean_up_tokenization_spaces", false},
                       {"eos_token", chat::kEos},
                       {"model_max_length", 1048576},
                       {"pad_token", chat::kEos},
                       {"unk_token", nullptr},
                       {"tokenizer_class", "PreTrainedTokenizerFast"}};
  return config.dump(2) + "\n";
}

void write_tokenizer(const TrainedBpe& trained, const fs::path& folder) {
  make_writable_folder(folder);
  write_file_atomic(folder / "tokenizer.json", trained.tokenizer_json());
  write_file_atomic(folder / "tokenizer_config.json", TrainedBpe::tokenizer_config_json());
}

}  // namespace temper
