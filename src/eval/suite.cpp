#include "eval/suite.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/interrupt.h"
#include "eval/held_out.h"
#include "eval/ifeval/ifeval.h"
#include "eval/safety/safety.h"
#include "eval/stories/stories.h"

namespace temper {
namespace {

struct NamedSuite {
  const char* name;
  std::unique_ptr<Suite> (*make)();
};

// One row a suite, in the order of the help text.
constexpr NamedSuite kSuites[] = {
    {"ifeval", make_ifeval},
    {"safety", make_safety},
    {"stories", make_stories},
    {"heldout", make_held_out},
};

}  // namespace

std::unique_ptr<Suite> make_suite(const std::string& name) {
  for (const NamedSuite& row : kSuites)
    if (name == row.name) return row.make();
  throw Error({.kind = ErrorKind::kConfig,
               .what = fmt::format("there is no suite called \"{}\"", name),
               .where = "--suite",
               .fix = fmt::format("use some of: {}", fmt::join(suite_names(), ", "))});
}

std::vector<std::string> suite_names() {
  std::vector<std::string> names;
  for (const NamedSuite& row : kSuites) names.emplace_back(row.name);
  return names;
}

SuiteResult grade_answers(const Suite& suite, const std::vector<Question>& questions, const std::vector<const Answer*>& answers) {
  SuiteResult result;
  result.suite = suite.name();
  for (size_t i = 0; i < questions.size(); ++i) {
    check_interrupt();
    if (!answers[i]) {
      ++result.n_missing;
      continue;
    }
    result.rows.push_back(suite.grade(i, *answers[i]));
    result.asked.push_back(questions[i]);
    result.responses.push_back(answers[i]->response);
  }
  return result;
}

}  // namespace temper
