#include "data/tokenizer_file.h"

#include <fmt/format.h>

#include <charconv>
#include <unordered_set>

#include "base/placeholder.h"
#include "base/whole_file.h"
#include "data/byte_level.h"
#include "data/pre_tokenizer.h"
#include "data/tokenizer_json.h"

namespace temper {
namespace {

constexpr int64_t kMaxId = (1 << 21) - 1;  // far above any vocabulary; a larger id is damage, and tables by id would take gigabytes
constexpr const char* kCopyAgain = "copy or download the tokenizer's files again";

[[noreturn]] void throw_data(std::string what, const std::string& where, std::string fix = kCopyAgain) {
  throw Error({.kind = ErrorKind::kData, .what = std::move(what), .where = where, .fix = std::move(fix)});
}

std::string in_quotes(std::string_view text) { return fmt::format("{:?}", text); }

/// Collects tokens and keeps ids and spellings unique.
class Builder {
 public:
  explicit Builder(std::string where) { file_.where = std::move(where); file_.byte2id.fill(-1); }

  void add_vocab(const std::vector<std::pair<std::string, int64_t>>& vocab) {
    spelling2id_.reserve(vocab.size());
    for (const auto& [spelling, id] : vocab) {
      if (!spelling2id_.emplace(spelling, checked(id, spelling)).second)
        throw_data(fmt::format("the token {} is in the vocabulary twice", in_quotes(spelling)), file_.where);
      // A token whose spelling is not in byte letters (a control token) stands for its own text.
      place(static_cast<int32_t>(id), bytes_of_spelling(spelling).value_or(spelling), spelling);
    }
  }

  void add_added_token(AddedToken token) {
    const auto known = spelling2id_.find(token.content);
    if (token.content.empty()) throw_data(fmt::format("the added token {} is empty", token.id), file_.where);
    if (!added_contents_.insert(token.content).second)
      throw_data(fmt::format("the added token {} is listed twice", in_quotes(token.content)), file_.where);
    if (known == spelling2id_.end()) {
      place(token.id, token.content, token.content);
    } else if (known->second != token.id) {
      throw_data(fmt::format("the added token {} has id {}, but id {} in the vocabulary", in_quotes(token.content), token.id, known->second), file_.where);
    } else {
      if (!added_ids_.insert(token.id).second) throw_data(fmt::format("two added tokens have id {}", token.id), file_.where);
      file_.tokens[static_cast<size_t>(token.id)] = token.content;
    }
    file_.added.push_back(std::move(token));
  }

  void add_merges(const std::vector<std::pair<std::string, std::string>>& merges) {
    std::unordered_set<uint64_t> pairs;
    file_.merges.reserve(merges.size());
    for (size_t rank = 0; rank < merges.size(); ++rank) {
      const auto& [left, right] = merges[rank];
      const Merge merge{merge_id(left, rank), merge_id(right, rank), merge_id(left + right, rank)};
      if (!pairs.insert(static_cast<uint64_t>(merge.left) << 32 | static_cast<uint64_t>(merge.right)).second)
        throw_data(fmt::format("merge {} ({} {}) is listed twice", rank, in_quotes(left), in_quotes(right)), file_.where);
      file_.merges.push_back(merge);
    }
  }

  /// Bytes that occur in valid UTF-8 need a token each; without one, text would be lost.
  void find_byte_tokens() {
    for (int byte = 0; byte < 256; ++byte) {
      const std::string raw(1, static_cast<char>(byte));
      const auto found = spelling2id_.find(spell_bytes(raw));
      if (found != spelling2id_.end()) file_.byte2id[static_cast<size_t>(byte)] = found->second;
      const bool in_valid_utf8 = byte < 0xF5 && byte != 0xC0 && byte != 0xC1;
      if (found == spelling2id_.end() && in_valid_utf8) {
        throw_data(fmt::format("the vocabulary has no token for the byte 0x{:02X} ({})", byte, in_quotes(spell_bytes(raw))), file_.where,
                   "this is no byte-level vocabulary; use one that can spell every text");
      }
    }
  }

  void keep_whole_words() {
    for (const auto& [spelling, id] : spelling2id_) {
      if (const auto bytes = bytes_of_spelling(spelling)) file_.whole_words.emplace(*bytes, id);
    }
  }

  bool has_spelling(const std::string& spelling) const { return spelling2id_.contains(spelling); }
  int32_t id_of_spelling(const std::string& spelling) const { return spelling2id_.at(spelling); }
  TokenizerFile& file() { return file_; }

 private:
  int32_t checked(int64_t id, const std::string& spelling) const {
    if (id < 0 || id > kMaxId) throw_data(fmt::format("the token {} has id {}, outside [0, {}]", in_quotes(spelling), id, kMaxId), file_.where);
    return static_cast<int32_t>(id);
  }

  void place(int32_t id, std::string bytes, const std::string& spelling) {
    checked(id, spelling);
    const auto at = static_cast<size_t>(id);
    if (at >= file_.tokens.size()) {
      file_.tokens.resize(at + 1);
      file_.used.resize(at + 1);
    }
    if (file_.used[at]) throw_data(fmt::format("id {} belongs to two tokens: {} and {}", id, in_quotes(file_.tokens[at]), in_quotes(spelling)), file_.where);
    file_.used[at] = true;
    file_.tokens[at] = std::move(bytes);
  }

  int32_t merge_id(const std::string& spelling, size_t rank) const {
    const auto found = spelling2id_.find(spelling);
    if (found == spelling2id_.end()) throw_data(fmt::format("merge {} needs the token {}, which is not in the vocabulary", rank, in_quotes(spelling)), file_.where);
    return found->second;
  }

  TokenizerFile file_;
  std::unordered_map<std::string, int32_t> spelling2id_;
  std::unordered_set<std::string> added_contents_;
  std::unordered_set<int32_t> added_ids_;
};

bool is_empty_sequence(const Json& component, const char* members) {
  return component.is_object() && component.value("type", Json()) == "Sequence" && component.contains(members) && component[members].empty();
}

std::string type_of(const Json& component) {
  if (!component.is_object() || !component.contains("type") || !component["type"].is_string()) return "something without a type";
  return component["type"].get<std::string>();
}

const Json& member_or_null(const Json& object, const char* key) {
  static const Json null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

/// Only what leaves byte-level BPE exact is known: other settings of the model are refused by name.
void check_model(const Json& model, const std::string& where) {
  const char* kUseBpe = "use a byte-level BPE tokenizer";
  if (const Json& type = member_or_null(model, "type"); !type.is_null() && type != "BPE") throw_data(fmt::format("the model is {}, not BPE", type.dump()), where, kUseBpe);
  if (const Json& dropout = member_or_null(model, "dropout"); !dropout.is_null() && dropout != 0.0) throw_data("the model has BPE dropout, which makes encoding random", where, "set \"dropout\" to null");
  if (member_or_null(model, "byte_fallback") == true) throw_data("the model has byte_fallback, so it is not byte-level", where, kUseBpe);
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (const Json& value = member_or_null(model, affix); !value.is_null() && value != "") throw_data(fmt::format("the model has {} = {}, which is not known here", affix, value.dump()), where, kUseBpe);
  }
}

void check_components(const Json& rest, const std::string& where) {
  if (const Json& normalizer = member_or_null(rest, "normalizer"); !normalizer.is_null() && !is_empty_sequence(normalizer, "normalizers"))
    throw_data(fmt::format("the normalizer is {}, which is not known here", type_of(normalizer)), where, "use a tokenizer without a normalizer: text must come back byte for byte");
  if (const Json& decoder = member_or_null(rest, "decoder"); type_of(decoder) != "ByteLevel")
    throw_data(fmt::format("the decoder is {}, not ByteLevel", decoder.is_null() ? "missing" : type_of(decoder)), where, "use a byte-level BPE tokenizer");
  // A post-processor adds tokens around a text; encode() never does, so which one it is does not matter.
}

bool true_member(const Json& object, const char* key) { return member_or_null(object, key) == true; }

AddedToken read_added_token(const Json& json, const std::string& where) {
  if (!json.is_object()) throw_data("an entry of added_tokens is not an object", where);
  const Json &id = json_member(json, "id", where), &content = json_member(json, "content", where);
  if (!id.is_number_integer() || !content.is_string()) throw_data(fmt::format("an added token has the id {} and the content {}", id.dump(), content.dump()), where);
  const auto number = id.get<int64_t>();
  const auto& text = content.get_ref<const std::string&>();
  if (number < 0 || number > kMaxId) throw_data(fmt::format("the added token {} has id {}, outside [0, {}]", in_quotes(text), number, kMaxId), where);
  for (const char* option : {"single_word", "lstrip", "rstrip"}) {
    if (true_member(json, option)) throw_data(fmt::format("the added token {} has {} = true, which is not known here", in_quotes(text), option), where, "use a tokenizer whose added tokens are matched as they stand");
  }
  return {static_cast<int32_t>(number), text, true_member(json, "special"), true_member(json, "normalized")};
}

/// "bos_token": "text" or {"content": "text"}.
std::optional<std::string> token_of_config(const Json& config, const char* key) {
  const Json& value = member_or_null(config, key);
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("content") && value["content"].is_string()) return value["content"].get<std::string>();
  return std::nullopt;
}

/// "added_tokens_decoder": {"id": {"content": ...}}: what it lists must be what the tokenizer has.
void check_added_tokens_decoder(const Json& config, const std::string& config_path, const TokenizerFile& file) {
  const Json& decoder = member_or_null(config, "added_tokens_decoder");
  if (!decoder.is_object()) return;
  for (const auto& [id_text, token] : decoder.items()) {
    const Json& content = json_member(token, "content", config_path);
    size_t id = 0;
    const auto [end, error] = std::from_chars(id_text.data(), id_text.data() + id_text.size(), id);
    const bool is_number = error == std::errc() && end == id_text.data() + id_text.size();
    if (!is_number || id >= file.tokens.size() || !file.used[id] || content != file.tokens[id])
      throw_data(fmt::format("added_tokens_decoder gives id {} to {}, the tokenizer does not", id_text, content.dump()), config_path, "use the config that belongs to this tokenizer");
  }
}

void read_config_beside(const fs::path& folder, TokenizerFile& file) {
  const fs::path path = folder / "tokenizer_config.json";
  if (!fs::exists(path)) return;
  const Json config = read_json(path);
  if (!config.is_object()) throw_data("tokenizer_config.json is not a JSON object", path.string());
  check_added_tokens_decoder(config, path.string(), file);
  file.bos = token_of_config(config, "bos_token");
  file.eos = token_of_config(config, "eos_token");
  file.pad = token_of_config(config, "pad_token");
}

/// vocab.json and merges.txt do not say how text is cut: only GPT-2's own way is known.
void check_class_is_gpt2(const fs::path& folder) {
  const fs::path path = folder / "tokenizer_config.json";
  if (!fs::exists(path)) return;
  const Json config = read_json(path);
  const Json& name = member_or_null(config, "tokenizer_class");
  if (name.is_string() && name != "GPT2Tokenizer" && name != "GPT2TokenizerFast")
    throw_data(fmt::format("vocab.json belongs to a {}, whose pattern the file does not hold", name.get<std::string>()), path.string(), "take the tokenizer.json of this model");
}

TokenizerFile read_vocab_and_merges(const fs::path& folder) {
  const fs::path vocab_path = folder / "vocab.json", merges_path = folder / "merges.txt";
  Builder builder(vocab_path.string());
  // The same reader as for tokenizer.json: it keeps duplicate keys visible.
  const std::string vocab = read_small_file(vocab_path);
  refuse_placeholder(vocab, vocab_path.string(), ErrorKind::kData);
  const std::string wrapped = "{\"model\":{\"vocab\":" + vocab + "}}";
  builder.add_vocab(parse_raw_tokenizer_json(wrapped, vocab_path.string()).vocab);
  std::vector<std::pair<std::string, std::string>> merges;
  const std::string text = read_small_file(merges_path);
  refuse_placeholder(text, merges_path.string(), ErrorKind::kData);
  size_t line_number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line(text.data() + at, end - at);
    at = end + 1;
    ++line_number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (line_number == 1 && line.starts_with("#version"))) continue;
    merges.push_back(split_merge(line, fmt::format("{}:{}", merges_path.string(), line_number)));
  }
  builder.file().where = merges_path.string();
  builder.add_merges(merges);
  builder.find_byte_tokens();
  builder.file().pre_tokenizer = gpt2_pre_tokenizer();
  if (const std::string end_of_text = "<|endoftext|>"; builder.has_spelling(end_of_text)) {
    builder.add_added_token({builder.id_of_spelling(end_of_text), end_of_text, /*special=*/true, /*normalized=*/false});
    builder.file().bos = builder.file().eos = end_of_text;
  }
  return std::move(builder.file());
}

}  // namespace

TokenizerFile parse_tokenizer_json(std::string_view text, const std::string& where) {
  const TokenizerJson json = parse_raw_tokenizer_json(text, where);
  if (!json.rest.is_object()) throw_data("tokenizer.json is not a JSON object", where);
  const Json& model = json_member(json.rest, "model", where);
  if (!model.is_object()) throw_data("\"model\" is not an object", where);
  check_model(model, where);
  check_components(json.rest, where);
  if (json.vocab.empty()) throw_data("the vocabulary is empty", where);
  Builder builder(where);
  builder.add_vocab(json.vocab);
  builder.add_merges(json.merges);
  builder.find_byte_tokens();
  if (const Json& added = member_or_null(json.rest, "added_tokens"); !added.is_null()) {
    if (!added.is_array()) throw_data("\"added_tokens\" is not a list", where);
    for (const Json& token : added) builder.add_added_token(read_added_token(token, where));
  }
  if (true_member(model, "ignore_merges")) builder.keep_whole_words();
  builder.file().pre_tokenizer = json_member(json.rest, "pre_tokenizer", where);
  return std::move(builder.file());
}

TokenizerFile read_tokenizer_file(const fs::path& folder_or_file) {
  const bool is_folder = fs::is_directory(folder_or_file);
  const fs::path folder = is_folder ? folder_or_file : folder_or_file.parent_path();
  const fs::path file = is_folder ? folder / "tokenizer.json" : folder_or_file;
  TokenizerFile read;
  if (fs::exists(file)) {
    read = parse_tokenizer_json(read_small_file(file), file.string());
  } else if (is_folder && fs::exists(folder / "vocab.json") && fs::exists(folder / "merges.txt")) {
    check_class_is_gpt2(folder);
    read = read_vocab_and_merges(folder);
  } else {
    throw_data(is_folder ? "no tokenizer here: neither tokenizer.json nor vocab.json with merges.txt" : "no such file", folder_or_file.string(), "name a model folder, or a tokenizer.json");
  }
  read_config_beside(folder, read);
  return read;
}

}  // namespace temper
