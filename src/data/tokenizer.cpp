#include "data/tokenizer.h"

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <atomic>
#include <limits>
#include <unordered_map>

#include "base/error.h"
#include "data/added_tokens.h"
#include "data/bpe.h"
#include "data/chat_tokens.h"
#include "data/pre_tokenizer.h"
#include "data/tokenizer_file.h"
#include "data/unicode.h"
#include "data/word_cache.h"

namespace temper {
namespace {

uint64_t next_serial() {
  static std::atomic<uint64_t> serial{0};
  return ++serial;
}

/// The calling thread's cache for the tokenizer `serial`; a thread that uses several keeps a few.
WordCache& thread_cache(uint64_t serial) {
  struct Entry {
    uint64_t serial = 0;
    std::unique_ptr<WordCache> cache;
  };
  thread_local Entry entries[4];
  thread_local size_t oldest = 0;
  for (Entry& entry : entries) {
    if (entry.serial == serial) return *entry.cache;
  }
  Entry& entry = entries[oldest++ % 4];
  entry = {serial, std::make_unique<WordCache>()};
  return *entry.cache;
}

std::string fingerprint_of(const TokenizerFile& file) {
  XXH3_state_t* state = XXH3_createState();
  XXH3_64bits_reset(state);
  const auto feed = [&](std::string_view text) {
    const uint64_t size = text.size();
    XXH3_64bits_update(state, &size, sizeof size);
    XXH3_64bits_update(state, text.data(), text.size());
  };
  for (size_t id = 0; id < file.tokens.size(); ++id) {
    feed(file.used[id] ? "token" : "gap");
    feed(file.tokens[id]);
  }
  for (const Merge& merge : file.merges) XXH3_64bits_update(state, &merge, sizeof merge);
  for (const AddedToken& token : file.added) {
    feed(fmt::format("{} {} {}", token.id, token.special, token.normalized));
    feed(token.content);
  }
  feed(file.pre_tokenizer.dump());
  feed(file.whole_words.empty() ? "" : "whole words");
  const uint64_t digest = XXH3_64bits_digest(state);
  XXH3_freeState(state);
  return fmt::format("{:016x}", digest);
}

}  // namespace

struct Tokenizer::State {
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return XXH3_64bits(text.data(), text.size()); }
  };
  using IdOfText = std::unordered_map<std::string, int32_t, Hash, std::equal_to<>>;

  TokenizerFile file;
  PreTokenizer pre_tokenizer;
  Bpe bpe;
  AddedTokenMatcher first, second;  // added tokens that ignore the normalizer are matched before those that do not
  IdOfText added2id, bytes2id;
  std::vector<bool> special;  // by id
  int32_t bos = -1, eos = -1, pad = -1;
  std::string fingerprint;
  uint64_t serial = next_serial();

  void encode_ordinary(std::string_view text, std::vector<int32_t>& ids) const;
  void find_added(const AddedTokenMatcher& matcher, std::string_view text, size_t from, size_t to, std::vector<TextPart>& parts) const;
  void encode_piece(std::string_view piece, std::vector<int32_t>& ids) const;
  int32_t role_id(const std::optional<std::string>& content, const char* role) const;
};

void Tokenizer::State::encode_piece(std::string_view piece, std::vector<int32_t>& ids) const {
  if (!file.whole_words.empty()) {
    if (const auto found = file.whole_words.find(std::string(piece)); found != file.whole_words.end()) {
      ids.push_back(found->second);
      return;
    }
  }
  if (const int missing = bpe.encode(piece, ids); missing >= 0) {
    throw Error({.kind = ErrorKind::kData,
                 .what = fmt::format("the text has the byte 0x{:02X}, for which this vocabulary has no token", missing),
                 .where = file.where,
                 .fix = "mend the text: valid UTF-8 never has this byte"});
  }
}

void Tokenizer::State::encode_ordinary(std::string_view text, std::vector<int32_t>& ids) const {
  if (text.size() >= std::numeric_limits<uint32_t>::max()) {
    throw Error({.kind = ErrorKind::kData, .what = fmt::format("one text of {} bytes; at most 4 GiB can be encoded at once", text.size()), .where = "", .fix = "cut it into documents"});
  }
  WordCache& cache = thread_cache(serial);
  thread_local std::vector<Piece> pieces;
  pre_tokenizer.split(text, pieces);
  for (const Piece& piece : pieces) {
    const std::string_view word = text.substr(piece.begin, piece.end - piece.begin);
    if (word.size() > WordCache::kMaxBytes) {
      encode_piece(word, ids);
      continue;
    }
    WordCache::Slot& slot = cache.slot(XXH3_64bits(word.data(), word.size()));
    if (WordCache::holds(slot, word)) {
      ids.insert(ids.end(), slot.ids, slot.ids + slot.n_ids);
      continue;
    }
    const size_t before = ids.size();
    encode_piece(word, ids);
    WordCache::store(slot, word, std::span(ids).subspan(before));
  }
}

void Tokenizer::State::find_added(const AddedTokenMatcher& matcher, std::string_view text, size_t from, size_t to, std::vector<TextPart>& parts) const {
  const auto add_between = [&](size_t begin, size_t end) {
    if (begin == end) return;
    if (&matcher == &first && !second.empty()) find_added(second, text, begin, end, parts);
    else parts.push_back({begin, end, -1});
  };
  for (size_t at = from; at < to;) {
    const AddedTokenMatcher::Match match = matcher.find(text.substr(0, to), at);
    add_between(at, match.begin);
    if (match.id < 0) break;
    parts.push_back({match.begin, match.end, match.id});
    at = match.end;
  }
}

int32_t Tokenizer::State::role_id(const std::optional<std::string>& content, const char* role) const {
  if (!content) return -1;
  if (const auto found = added2id.find(*content); found != added2id.end()) return found->second;
  if (const auto found = bytes2id.find(*content); found != bytes2id.end()) return found->second;
  throw Error({.kind = ErrorKind::kData,
               .what = fmt::format("tokenizer_config.json names the {} {:?}, which the tokenizer does not have", role, *content),
               .where = file.where,
               .fix = "use the config that belongs to this tokenizer"});
}

Tokenizer Tokenizer::load(const fs::path& folder_or_file) {
  WhileDoing work("loading the tokenizer");
  return from_file(read_tokenizer_file(folder_or_file));
}

Tokenizer Tokenizer::from_file(TokenizerFile file) {
  auto state = std::make_shared<State>();
  state->pre_tokenizer = PreTokenizer::from_json(file.pre_tokenizer, file.where);
  state->bpe = Bpe(file.byte2id, file.merges);
  state->special.resize(file.tokens.size());
  for (const AddedToken& token : file.added) {
    (token.normalized ? state->second : state->first).add(token.content, token.id);
    state->added2id.emplace(token.content, token.id);
    state->special[static_cast<size_t>(token.id)] = token.special && !chat::is_text_marker(token.content);
  }
  state->first.freeze();
  state->second.freeze();
  state->bytes2id.reserve(file.tokens.size());
  for (size_t id = 0; id < file.tokens.size(); ++id) {
    if (file.used[id]) state->bytes2id.emplace(file.tokens[id], static_cast<int32_t>(id));
  }
  state->fingerprint = fingerprint_of(file);
  state->file = std::move(file);
  state->bos = state->role_id(state->file.bos, "bos_token");
  state->eos = state->role_id(state->file.eos, "eos_token");
  state->pad = state->role_id(state->file.pad, "pad_token");
  return Tokenizer(std::move(state));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 1);
  for (const TextPart& part : find_added(text)) {
    if (part.id >= 0) ids.push_back(part.id);
    else state_->encode_ordinary(text.substr(part.begin, part.end - part.begin), ids);
  }
  return ids;
}

std::vector<TextPart> Tokenizer::find_added(std::string_view text) const {
  std::vector<TextPart> parts;
  state_->find_added(state_->first, text, 0, text.size(), parts);
  return parts;
}

std::vector<int32_t> Tokenizer::encode_ordinary(std::string_view text) const {
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 1);
  state_->encode_ordinary(text, ids);
  return ids;
}

void Tokenizer::append_ordinary(std::string_view text, std::vector<int32_t>& ids) const { state_->encode_ordinary(text, ids); }

std::optional<std::string_view> Tokenizer::bytes_of(int32_t id) const {
  const auto at = static_cast<size_t>(id);
  if (id < 0 || at >= state_->file.tokens.size() || !state_->file.used[at]) return std::nullopt;
  return state_->file.tokens[at];
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string text;
  for (const int32_t id : ids) {
    const std::optional<std::string_view> bytes = bytes_of(id);
    if (!bytes) {
      throw Error({.kind = ErrorKind::kData,
                   .what = fmt::format("no token has the id {}; the tokenizer has {} ids", id, vocab_size()),
                   .where = state_->file.where,
                   .fix = "use the tokenizer that made these ids"});
    }
    if (!skip_special || !is_special(id)) text += *bytes;
  }
  return text;
}

int64_t Tokenizer::vocab_size() const { return static_cast<int64_t>(state_->file.tokens.size()); }

std::optional<int32_t> Tokenizer::added_id(std::string_view content) const {
  const auto found = state_->added2id.find(content);
  return found == state_->added2id.end() ? std::nullopt : std::optional(found->second);
}

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const {
  for (const State::IdOfText* map : {&state_->added2id, &state_->bytes2id}) {
    if (const auto found = map->find(token); found != map->end()) return found->second;
  }
  return std::nullopt;
}

bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && static_cast<size_t>(id) < state_->special.size() && state_->special[static_cast<size_t>(id)];
}

namespace {
int32_t id_or_throw(int32_t id, const char* role, const std::string& where) {
  if (id >= 0) return id;
  throw Error({.kind = ErrorKind::kData,
               .what = fmt::format("the tokenizer names no {}", role),
               .where = where,
               .fix = fmt::format("put a tokenizer_config.json with \"{}\" beside it", role)});
}
}  // namespace

int32_t Tokenizer::bos_id() const { return id_or_throw(state_->bos, "bos_token", state_->file.where); }
int32_t Tokenizer::eos_id() const { return id_or_throw(state_->eos, "eos_token", state_->file.where); }
int32_t Tokenizer::pad_id() const { return state_->pad >= 0 ? state_->pad : eos_id(); }
bool Tokenizer::has_bos() const { return state_->bos >= 0; }
bool Tokenizer::has_eos() const { return state_->eos >= 0; }
const std::string& Tokenizer::fingerprint() const { return state_->fingerprint; }

std::string StreamDecoder::push(int32_t id) {
  pending_ += tokenizer_.decode(std::span(&id, 1), skip_special_);
  const size_t certain = complete_utf8_size(pending_);
  std::string text = pending_.substr(0, certain);
  pending_.erase(0, certain);
  return text;
}

std::string StreamDecoder::finish() { return std::exchange(pending_, {}); }

void check_matches(const Tokenizer& tokenizer, int64_t vocab_size, const std::string& where) {
  if (tokenizer.vocab_size() <= vocab_size) return;
  throw Error({.kind = ErrorKind::kCheckpoint,
               .what = fmt::format("the tokenizer has ids up to {}, the model has rows for {} tokens", tokenizer.vocab_size() - 1, vocab_size),
               .where = where,
               .fix = "use the tokenizer that belongs to this model"});
}

Tokenizer load_matching_tokenizer(const fs::path& path, int64_t vocab_size) {
  Tokenizer tokenizer = Tokenizer::load(path);
  check_matches(tokenizer, vocab_size, path.string());
  return tokenizer;
}

}  // namespace temper
