#include "app/token_file.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/output.h"
#include "tensor/batch.h"

namespace temper {
namespace {

using Rows = std::vector<std::vector<int64_t>>;

[[noreturn]] void refuse(const fs::path& path, std::string_view key, std::string what, std::string fix) {
  throw Error({.kind = ErrorKind::kData, .what = std::move(what), .where = fmt::format("{}: \"{}\"", path.string(), key), .fix = std::move(fix)});
}

Rows read_rows(const Json& json, const fs::path& path, std::string_view key) {
  const Json& value = json_member(json, key, path.string());
  const std::string fix = fmt::format("write \"{}\": [[1, 2, 3], [4, 5, 6]]", key);
  if (!value.is_array() || value.empty()) refuse(path, key, "is not a list of rows", fix);
  Rows rows;
  for (const Json& row : value) {
    if (!row.is_array() || row.empty()) refuse(path, key, fmt::format("row {} is not a list of numbers, or is empty", rows.size()), fix);
    std::vector<int64_t> numbers;
    for (const Json& number : row) {
      const bool fits = number.is_number_integer() && !(number.is_number_unsigned() && number.get<uint64_t>() > INT64_MAX);
      if (!fits) refuse(path, key, fmt::format("row {} column {} is {}, not an integer", rows.size(), numbers.size(), number.dump().substr(0, 40)), fix);
      numbers.push_back(number.get<int64_t>());
    }
    rows.push_back(std::move(numbers));
  }
  return rows;
}

void check_ids(const Rows& rows, const fs::path& path, std::string_view key, int64_t vocab_size, bool may_be_ignored) {
  for (size_t b = 0; b < rows.size(); ++b)
    for (size_t t = 0; t < rows[b].size(); ++t) {
      const int64_t id = rows[b][t];
      if ((id >= 0 && id < vocab_size) || (may_be_ignored && id == kIgnoredLabel)) continue;
      refuse(path, key, fmt::format("row {} column {} is {}, the vocabulary has ids 0 to {}", b, t, id, vocab_size - 1),
             may_be_ignored ? "use -100 for positions that are not trained" : "use the tokenizer of this model");
    }
}

std::vector<int64_t> flat(const Rows& rows) {
  std::vector<int64_t> all;
  for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
  return all;
}

}  // namespace

TokenFile read_token_file(const fs::path& path, int64_t vocab_size) {
  const Json json = parse_json(read_input(path), path.string());
  if (!json.is_object()) refuse(path, "input_ids", "the file is not a JSON object", "write {\"input_ids\": [[1, 2, 3]]}");
  for (const auto& [key, value] : json.items())
    if (key != "input_ids" && key != "labels" && key != "document_lengths")
      refuse(path, key, "is not a key of token files", "known keys: input_ids, labels, document_lengths");

  const Rows ids = read_rows(json, path, "input_ids");
  const size_t S = ids.front().size();
  for (size_t b = 0; b < ids.size(); ++b)
    if (ids[b].size() != S)
      refuse(path, "input_ids", fmt::format("row {} has {} tokens, row 0 has {}", b, ids[b].size(), S),
             "make all rows equally long; document_lengths packs several short documents into a row");
  check_ids(ids, path, "input_ids", vocab_size, false);

  Rows labels = ids;
  if (json.contains("labels")) {
    labels = read_rows(json, path, "labels");
    bool same = labels.size() == ids.size();
    for (size_t b = 0; same && b < ids.size(); ++b) same = labels[b].size() == S;
    if (!same)
      refuse(path, "labels", fmt::format("have another shape than input_ids: [{}, {}]", ids.size(), S),
             "give one label for each id; they are shifted inside");
    check_ids(labels, path, "labels", vocab_size, true);
  }

  std::vector<int64_t> lengths(ids.size(), static_cast<int64_t>(S));
  if (json.contains("document_lengths")) {
    const Rows rows = read_rows(json, path, "document_lengths");
    if (rows.size() != ids.size())
      refuse(path, "document_lengths", fmt::format("has {} rows, input_ids has {}", rows.size(), ids.size()), "give one list of lengths for each row");
    for (size_t b = 0; b < rows.size(); ++b) {
      int64_t left = static_cast<int64_t>(S);
      for (const int64_t length : rows[b]) {
        if (length <= 0 || length > left) left = -1;
        if (left < 0) break;
        left -= length;
      }
      if (left != 0)
        refuse(path, "document_lengths", fmt::format("row {} does not divide its {} tokens", b, S), "lengths are positive and sum to the row's length");
    }
    lengths = flat(rows);
  }
  return {.batch_size = static_cast<int64_t>(ids.size()), .seq_len = static_cast<int64_t>(S), .input_ids = flat(ids), .labels = flat(labels),
          .document_lengths = std::move(lengths)};
}

}  // namespace temper
