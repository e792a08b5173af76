#include "eval/gates.h"

#include <algorithm>

#include "base/config.h"
#include "eval/suite.h"

namespace temper {
namespace {

struct MetricGate {
  std::string name;
  double margin = -1;
  template <class Visitor> void visit(Visitor& v) {
    v("name", name, "suite.metric");
    v("margin", margin, "the loss the gate tolerates", at_least(0));
  }
};

struct GatesFile {
  std::vector<MetricGate> metric;
  template <class Visitor> void visit(Visitor& v) { v("metric", metric, "one gated metric each"); }
};

}  // namespace

void expect_metric(const std::string& name, const std::string& where) {
  const size_t dot = name.find('.');
  const std::vector<std::string> suites = suite_names();
  if (dot != std::string::npos && std::find(suites.begin(), suites.end(), name.substr(0, dot)) != suites.end())
    for (const MetricInfo& info : make_suite(name.substr(0, dot))->metrics())
      if (info.name == name.substr(dot + 1)) return;
  throw Error({.kind = ErrorKind::kConfig,
               .what = fmt::format("\"{}\" names no metric", name),
               .where = where,
               .fix = "name it suite.metric, for example ifeval.prompt_level_strict_acc"});
}

Margins read_margins(const fs::path& path) {
  GatesFile file;
  read_config(path, {}, file);
  Margins margins;
  for (const MetricGate& gate : file.metric) {
    const std::string where = fmt::format("{}, metric \"{}\"", path.string(), gate.name);
    expect_metric(gate.name, where);
    if (gate.margin < 0) throw Error({.kind = ErrorKind::kConfig, .what = "the metric has no margin", .where = where, .fix = "write margin = 0.02, for example"});
    if (!margins.emplace(gate.name, gate.margin).second)
      throw Error({.kind = ErrorKind::kConfig, .what = "the metric is named twice", .where = where, .fix = "keep one of its [[metric]] sections"});
  }
  return margins;
}

}  // namespace temper
