#include "eval/ifeval/ifeval.h"

#include <fmt/format.h>

#include <algorithm>

#include "eval/data.h"
#include "eval/ifeval/instructions.h"
#include "eval/text/python_random.h"
#include "eval/text/unicode.h"

namespace temper {
namespace {

struct IfevalRow {
  Question question;
  Json instruction_ids;
  std::vector<Check> strict, loose;   // they differ only where a random letter is drawn
};

// Two of the 541 prompts ask letter_frequency to count '#' and '!'.  The Python checkers then draw a letter for each check.  We draw as
// lm-evaluation-harness does with random.seed(0): row by row in file order, strict before loose (google-research's evaluation_main checks all rows
// strictly first).  All rows draw, so a verdict does not depend on which other rows were answered.
class Letters {
 public:
  char draw() {
    constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
    return kLetters[random_.below(52) % 26];   // string.ascii_letters: lower case, then upper case; the checker lowers it
  }

 private:
  text::PythonRandom random_{0};
};

std::vector<IfevalRow> read_ifeval_rows() {
  std::vector<IfevalRow> rows;
  Letters letters;
  size_t n = 0;
  for (const std::string_view line : text::split(embedded_file("ifeval/prompts.jsonl"), "\n")) {
    ++n;
    if (line.empty()) continue;
    const std::string where = fmt::format("ifeval/prompts.jsonl:{}", n);
    const Json json = parse_json(line, where);
    IfevalRow row{{json_member(json, "key", where), json_member(json, "prompt", where)}, json_member(json, "instruction_id_list", where), {}, {}};
    const Json& arguments = json_member(json, "kwargs", where);
    for (const bool loose : {false, true}) {
      for (size_t i = 0; i < row.instruction_ids.size(); ++i) {
        const std::string id = row.instruction_ids[i];
        const char letter = draws_letter(id, arguments[i]) ? letters.draw() : '\0';
        (loose ? row.loose : row.strict).push_back(make_check(id, arguments[i], letter, where));
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

class IfEval : public Suite {
 public:
  IfEval() : rows_(read_ifeval_rows()) {}

  std::string name() const override { return "ifeval"; }

  std::vector<MetricInfo> metrics() const override {
    return {{"prompt_level_strict_acc", "all instructions of a prompt followed", Direction::kHigherIsBetter, 0.03},
            {"inst_level_strict_acc", "instructions followed"},
            {"prompt_level_loose_acc", "all instructions followed by one of eight variants of the answer"},
            {"inst_level_loose_acc", "instructions followed by one of eight variants of the answer"}};
  }

  std::vector<Question> questions() const override {
    std::vector<Question> all;
    for (const IfevalRow& row : rows_) all.push_back(row.question);
    return all;
  }

  Json grade(size_t index, const Answer& answer) const override {
    const IfevalRow& row = rows_[index];
    Json strict = Json::array(), loose = Json::array();
    for (const Check& check : row.strict) strict.push_back(follows_strict(check, answer.response));
    for (const Check& check : row.loose) loose.push_back(follows_loose(check, answer.response));
    return {{"key", row.question.key}, {"instruction_id_list", row.instruction_ids}, {"strict", strict}, {"loose", loose}};
  }

  std::vector<Outcome> outcomes(const Json& row) const override {
    std::vector<Outcome> all;
    for (const char* how : {"strict", "loose"}) {
      const std::vector<bool> followed = json_member(row, how, "an ifeval row");
      all.push_back({fmt::format("prompt_level_{}_acc", how), std::find(followed.begin(), followed.end(), false) == followed.end() ? 1.0 : 0.0});
      for (const bool one : followed) all.push_back({fmt::format("inst_level_{}_acc", how), one ? 1.0 : 0.0});
    }
    return all;
  }

 private:
  std::vector<IfevalRow> rows_;
};

}  // namespace

std::unique_ptr<Suite> make_ifeval() { return std::make_unique<IfEval>(); }

}  // namespace temper
