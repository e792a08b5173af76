#include "eval/answers.h"

#include <fmt/format.h>

#include <unordered_map>

#include "base/interrupt.h"
#include "data/byte_source.h"
#include "eval/csv.h"
#include "eval/text/unicode.h"

namespace temper {
namespace {

const char* const kResponseNames[] = {"response", "completion"};

std::string string_field(const Json& row, const char* key, const std::string& where) {
  const Json& value = json_member(row, key, where);
  if (!value.is_string())
    throw Error({.kind = ErrorKind::kData,
                 .what = fmt::format("\"{}\" is {}, it must be a string", key, value.type_name()),
                 .where = where,
                 .fix = "write the text in quotes"});
  const std::string found = value;
  if (text::encode_utf8(text::decode_utf8(found)) != found)
    throw Error({.kind = ErrorKind::kData, .what = fmt::format("\"{}\" is not valid UTF-8", key), .where = where, .fix = "convert the file to UTF-8"});
  return found;
}

// Each record of a CSV file as an object of strings.
std::vector<Json> csv_rows(const std::string& content, const std::string& where) {
  const std::vector<std::vector<std::string>> records = parse_csv(content, where);
  std::vector<Json> rows;
  for (size_t i = 1; i < records.size(); ++i) {
    Json row;
    for (size_t j = 0; j < records[0].size(); ++j) row[records[0][j]] = records[i][j];
    rows.push_back(std::move(row));
  }
  return rows;
}

class Collector {
 public:
  void add(const Json& row, const std::string& where) {
    const std::string prompt = string_field(row, "prompt", where);
    const char* name = kResponseNames[0];
    for (const char* candidate : kResponseNames)
      if (row.contains(candidate)) {
        name = candidate;
        break;
      }
    std::string response = string_field(row, name, where);
    const auto [place, is_new] = index_.emplace(prompt, out_.prompts.size());
    if (is_new) {
      out_.prompts.push_back(prompt);
      where_.push_back(where);
      out_.answers.push_back({std::move(response), row});
    } else if (out_.answers[place->second].response == response) {
      ++out_.n_repeated;
    } else {
      throw Error({.kind = ErrorKind::kData,
                   .what = "one prompt has two different responses",
                   .where = fmt::format("{} and {}", where_[place->second], where),
                   .fix = "keep one of them, or grade two files"});
    }
  }
  StoredAnswers take() { return std::move(out_); }

 private:
  StoredAnswers out_;
  std::vector<std::string> where_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace

StoredAnswers read_stored_answers(const fs::path& path) {
  const std::string content = read_all_bytes(path);
  Collector collector;
  if (path.extension() == ".csv") {
    size_t n = 1;
    for (const Json& row : csv_rows(content, path.string())) collector.add(row, fmt::format("{}, record {}", path.string(), n++));
  } else {
    size_t n = 0;
    for (const std::string_view line : text::split(content, "\n")) {
      ++n;
      check_interrupt();
      if (text::strip(line).empty()) continue;
      const std::string where = fmt::format("{}:{}", path.string(), n);
      collector.add(parse_json(line, where), where);
    }
  }
  StoredAnswers stored = collector.take();
  if (stored.prompts.empty())
    throw Error({.kind = ErrorKind::kData,
                 .what = "the file holds no answers",
                 .where = path.string(),
                 .fix = "write one {\"prompt\": ..., \"response\": ...} a line"});
  return stored;
}

SuiteResult grade_stored(const Suite& suite, const StoredAnswers& stored, const std::string& where) {
  const std::vector<Question> questions = suite.questions();
  std::unordered_map<std::string_view, size_t> place;
  for (size_t i = 0; i < stored.prompts.size(); ++i) place.emplace(stored.prompts[i], i);
  std::vector<const Answer*> answers(questions.size(), nullptr);
  std::vector<bool> used(stored.prompts.size(), false);
  for (size_t i = 0; i < questions.size(); ++i) {
    const auto found = place.find(questions[i].prompt);
    if (found == place.end()) continue;
    answers[i] = &stored.answers[found->second];
    used[found->second] = true;
  }
  SuiteResult result = grade_answers(suite, questions, answers);
  result.n_repeated = stored.n_repeated;
  for (size_t i = 0; i < stored.prompts.size(); ++i) {
    check_interrupt();
    if (used[i]) continue;
    Json row = suite.grade_unknown(stored.prompts[i], stored.answers[i]);
    if (row.is_null()) {
      ++result.n_unknown;
      continue;
    }
    result.asked.push_back({row.at("key"), stored.prompts[i]});
    result.responses.push_back(stored.answers[i].response);
    result.rows.push_back(std::move(row));
  }
  if (result.rows.empty())
    throw Error({.kind = ErrorKind::kData,
                 .what = fmt::format("none of the {} stored prompts belongs to the suite {}", stored.prompts.size(), suite.name()),
                 .where = where,
                 .fix = fmt::format("answers are matched by their whole prompt; the first one of the suite is: {}",
                                    questions.empty() ? "(the suite has no own prompts)" : questions[0].prompt.substr(0, 100))});
  return result;
}

std::string without_reasoning(const std::string& response) {
  constexpr std::string_view kEnd = "</think>";
  const size_t end = response.rfind(kEnd);
  if (end == std::string::npos) return response;
  const size_t start = response.find_first_not_of(" \t\r\n", end + kEnd.size());
  return start == std::string::npos ? "" : response.substr(start);
}

}  // namespace temper
