#include "data/tokenizer_json.h"

#include <fmt/format.h>

#include "base/json_checks.h"
#include "base/placeholder.h"

namespace temper {
namespace {

/// Receives the parser's events; builds the tree, except below /model/vocab and /model/merges.
class Receiver : public nlohmann::json_sax<Json> {
 public:
  Receiver(TokenizerJson& out, const std::string& where) : out_(out), where_(where) {}

  bool null() override { return value(Json()); }
  bool boolean(bool v) override { return value(v); }
  bool number_integer(number_integer_t v) override { return value(v); }
  bool number_unsigned(number_unsigned_t v) override { return value(v); }
  bool number_float(number_float_t v, const string_t&) override { return value(v); }
  bool string(string_t& v) override { return value(std::move(v)); }
  bool binary(binary_t&) override { return false; }

  bool start_object(size_t) override {
    if (list_ != List::kNone) wrong_entry();
    if (at_model() && key_ == "vocab") {
      list_ = List::kVocab;
      return true;
    }
    open(Json::object());
    return true;
  }
  bool end_object() override {
    if (list_ == List::kVocab) list_ = List::kNone;
    else stack_.pop_back();
    return true;
  }
  bool start_array(size_t) override {
    if (list_ == List::kMerges && !pair_open_) {
      pair_open_ = true;
      pair_.clear();
      return true;
    }
    if (list_ != List::kNone) wrong_entry();
    if (at_model() && key_ == "merges") {
      list_ = List::kMerges;
      return true;
    }
    open(Json::array());
    return true;
  }
  bool end_array() override {
    if (list_ == List::kMerges && pair_open_) {
      if (pair_.size() != 2) wrong_entry();
      out_.merges.emplace_back(std::move(pair_[0]), std::move(pair_[1]));
      pair_open_ = false;
    } else if (list_ == List::kMerges) {
      list_ = List::kNone;
    } else {
      stack_.pop_back();
    }
    return true;
  }
  bool key(string_t& k) override {
    key_ = std::move(k);
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& e) override {
    throw Error({.kind = ErrorKind::kData, .what = fmt::format("not valid JSON: {}", e.what()), .where = fmt::format("{}, byte {}", where_, position), .fix = "copy or download the file again"});
  }

 private:
  enum class List { kNone, kVocab, kMerges };

  /// Inside the object /model itself.
  bool at_model() const { return stack_.size() == 2 && in_model_; }

  bool value(Json v) {
    if (list_ == List::kVocab) {
      if (!v.is_number_integer()) wrong_entry();
      out_.vocab.emplace_back(key_, v.get<int64_t>());
    } else if (list_ == List::kMerges) {
      if (!v.is_string()) wrong_entry();
      if (pair_open_) pair_.push_back(v.get<std::string>());
      else out_.merges.push_back(split_merge(v.get_ref<const std::string&>(), where_));
    } else {
      place(std::move(v));
    }
    return true;
  }

  Json* place(Json v) {
    if (stack_.empty()) {
      out_.rest = std::move(v);
      return &out_.rest;
    }
    Json& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(v));
      return &parent.back();
    }
    Json& member = parent[key_];
    member = std::move(v);
    return &member;
  }

  // Pointers in stack_ stay valid: only the innermost open container grows, and it is closed before its parent grows.
  void open(Json container) {
    if (stack_.size() >= static_cast<size_t>(kMaxJsonDepth)) {
      throw Error({.kind = ErrorKind::kData, .what = fmt::format("JSON nested deeper than {}", kMaxJsonDepth), .where = where_, .fix = "this is no tokenizer.json"});
    }
    if (stack_.size() == 1) in_model_ = stack_[0]->is_object() && key_ == "model";
    stack_.push_back(place(std::move(container)));
  }

  [[noreturn]] void wrong_entry() const {
    const bool vocab = list_ == List::kVocab;
    throw Error({.kind = ErrorKind::kData,
                 .what = vocab ? fmt::format("the id of {:?} in model.vocab is not a whole number", key_)
                               : fmt::format("merge {} is neither \"left right\" nor [left, right]", out_.merges.size()),
                 .where = where_,
                 .fix = "copy or download the file again"});
  }

  TokenizerJson& out_;
  const std::string& where_;
  std::vector<Json*> stack_;
  std::string key_;
  bool in_model_ = false;
  List list_ = List::kNone;
  bool pair_open_ = false;
  std::vector<std::string> pair_;
};

}  // namespace

std::pair<std::string, std::string> split_merge(std::string_view line, const std::string& where) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0 || space + 1 == line.size() || line.find(' ', space + 1) != std::string_view::npos) {
    throw Error({.kind = ErrorKind::kData,
                 .what = fmt::format("a merge is two tokens with one space between them, found {:?}", line),
                 .where = where,
                 .fix = "copy or download the file again"});
  }
  return {std::string(line.substr(0, space)), std::string(line.substr(space + 1))};
}

TokenizerJson parse_raw_tokenizer_json(std::string_view text, const std::string& where) {
  refuse_placeholder(text, where, ErrorKind::kData);
  TokenizerJson out;
  Receiver receiver(out, where);
  Json::sax_parse(text.begin(), text.end(), &receiver);
  return out;
}

}  // namespace temper
