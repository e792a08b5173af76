#include "eval/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "eval/compare.h"
#include "eval/report/plot.h"
#include "eval/report/run_files.h"
#include "eval/report/samples.h"
#include "eval/report/style.h"
#include "eval/summary.h"
#include "eval/text/unicode.h"

namespace temper {
namespace {

double median(std::vector<double> v) {
  std::erase_if(v, [](double x) { return !std::isfinite(x); });
  if (v.empty()) return std::nan("");
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

std::string big_number(double v) {
  if (v >= 1e9) return fmt::format("{:.2f} B", v / 1e9);
  if (v >= 1e6) return fmt::format("{:.2f} M", v / 1e6);
  if (v >= 1e4) return fmt::format("{:.1f} k", v / 1e3);
  return fmt::format("{:.0f}", v);
}

std::string duration(double seconds) {
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.1f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

// --- tiles -------------------------------------------------------------------------------------------------------

std::string tile(const std::string& value, const std::string& what) {
  return fmt::format("<div class=tile><b>{}</b><span>{}</span></div>", html_escape(value), html_escape(what));
}

std::string first_to_last(const Series& s, double half_life) {
  const std::vector<double> y = half_life > 0 ? smoothed(s.y, half_life) : s.y;
  return y.size() > 1 ? fmt::format("{:.3f} → {:.3f}", y.front(), y.back()) : fmt::format("{:.3f}", y.front());
}

std::string tiles(const RunFiles& run) {
  std::string out;
  if (const Series* loss = run.find("train/loss")) {
    out += tile(fmt::format("{:.0f}", loss->x.back()), "steps");
    out += tile(first_to_last(*loss, 10), "training loss, smoothed");
  }
  if (const Series* held_out = run.find("eval/held_out_loss")) out += tile(first_to_last(*held_out, 0), "held-out loss");
  if (const Series* tokens = run.find("train/tokens")) out += tile(big_number(tokens->y.back()), "tokens seen");
  if (const Series* speed = run.find("time/tokens_per_second")) out += tile(big_number(median(speed->y)), "tokens per second, median");
  if (const Series* seconds = run.find("time/step_seconds")) out += tile(duration(std::accumulate(seconds->y.begin(), seconds->y.end(), 0.0)), "time in steps");
  return "<div class=tiles>" + out + "</div>\n";
}

// --- plots -------------------------------------------------------------------------------------------------------

// The last part of a metric's name in words.
std::string short_name(const std::string& metric) {
  return text::replace_all(metric.substr(metric.rfind('/') + 1), "_", " ");
}

// Raw values faint, smoothed ones strong.
void add_smoothed(Plot& plot, const Series& raw, const std::string& name, int colour) {
  Series faint = raw, strong = raw;
  faint.faint = true;
  faint.colour = strong.colour = colour;
  strong.name = name;
  const double half_life = std::max(1.0, static_cast<double>(raw.y.size()) / 60);
  strong.y = smoothed(raw.y, half_life);
  if (half_life > 1) plot.series.push_back(faint);
  plot.series.push_back(strong);
}

std::string loss_plots(const RunFiles& run) {
  Plot loss{"Loss", "step", "nats per token; raw values behind a moving average", {}};
  if (const Series* s = run.find("train/loss")) add_smoothed(loss, *s, "training", 1);
  if (const Series* s = run.find("eval/held_out_loss")) {
    loss.series.push_back(*s);
    loss.series.back().name = "held-out";
    loss.series.back().colour = 2;
  }
  std::string out = draw(loss);
  Plot parts{"Parts of the loss", "step", "each before its weight", {}};
  for (const char* name : {"train/lm_loss", "train/mtp_loss", "train/balance_loss", "train/indexer_loss"})
    if (const Series* s = run.find(name)) add_smoothed(parts, *s, short_name(name), static_cast<int>(parts.series.size()) / 2 + 1);
  return parts.series.size() > 2 ? out + draw(parts) : out;
}

// One plot of all metrics with a prefix; beyond eight series the ones between keep no colour of their own.
std::string group_plot(const RunFiles& run, const std::string& prefix, Plot plot) {
  for (const std::string& name : run.names(prefix)) {
    Series s = *run.find(name);
    s.name = short_name(name);
    s.colour = static_cast<int>(plot.series.size()) % kSeriesColours + 1;
    plot.series.push_back(std::move(s));
  }
  return draw(plot);
}

std::string single_plot(const RunFiles& run, const char* name, Plot plot, bool smooth) {
  const Series* s = run.find(name);
  if (!s) return "";
  if (smooth) add_smoothed(plot, *s, short_name(name), 1);
  else plot.series.push_back(*s);
  return draw(plot);
}

std::string plots(const RunFiles& run) {
  std::string out = loss_plots(run);
  out += single_plot(run, "train/learning_rate", {.title = "Learning rate", .x_label = "step", .y_label = "", .series = {}, .y_from_zero = true}, false);
  out += group_plot(run, "grad_norm/", {.title = "Gradient norm by class", .x_label = "step", .y_label = "before clipping, log scale", .series = {}, .log_y = true});
  out += single_plot(run, "time/tokens_per_second", {.title = "Speed", .x_label = "step", .y_label = "tokens per second", .series = {}, .y_from_zero = true, .whole_numbers = true}, true);
  out += group_plot(run, "moe/max_expert_load_ratio/", {.title = "Expert load", .x_label = "step", .y_label = "busiest expert over the mean, by layer; 1 is even", .series = {}});
  Plot seconds{.title = "Where a step's time goes", .x_label = "step", .y_label = "seconds", .series = {}, .y_from_zero = true};
  for (const char* name : {"time/step_seconds", "time/forward_backward_seconds", "time/update_seconds", "time/data_seconds"})
    if (const Series* s = run.find(name)) {
      seconds.series.push_back(*s);
      seconds.series.back().name = text::replace_all(short_name(name), " seconds", "");
    }
  out += draw(seconds);
  return "<h2>Training</h2>\n<div class=plots>\n" + out + "</div>\n";
}

// --- before and after --------------------------------------------------------------------------------------------

std::string number_cell(double value, const Interval& interval) {
  return fmt::format("<td class=n>{:.3f}<small>{:.3f} to {:.3f}</small></td>", value, interval.low, interval.high);
}

// The reading of a change: the gate's verdict, or what the interval of the difference says.
std::string verdict_cell(const MetricComparison& c) {
  const double sign = c.direction == Direction::kLowerIsBetter ? -1 : 1;
  const double low = std::min(sign * c.difference.interval.low, sign * c.difference.interval.high), high = std::max(sign * c.difference.interval.low, sign * c.difference.interval.high);
  const char* change = c.direction == Direction::kNeutral ? "" : low > 0 ? "better" : high < 0 ? "worse" : "no clear change";
  std::string out = fmt::format("<span class=\"{}\">{}</span>", change, change);
  if (c.verdict) out += fmt::format("<small>gate: <span class={0}>{0}</span>, margin {1:g}</small>", verdict_name(*c.verdict), c.margin);
  return "<td>" + out + "</td>";
}

std::string comparison_rows(const Comparison& comparison, const fs::path& before, const fs::path& after) {
  std::string out, suite_name;
  std::vector<MetricValue> values_before, values_after;
  std::unique_ptr<Suite> suite;
  const auto value_of = [](const std::vector<MetricValue>& all, const std::string& name) {
    return *std::find_if(all.begin(), all.end(), [&](const MetricValue& v) { return v.metric == name; });
  };
  for (const MetricComparison& c : comparison.metrics) {
    if (c.suite != suite_name) {
      suite_name = c.suite;
      suite = make_suite(suite_name);
      values_before = summarise(*suite, read_rows(before, suite_name));
      values_after = summarise(*suite, read_rows(after, suite_name));
    }
    const MetricValue a = value_of(values_before, c.metric), b = value_of(values_after, c.metric);
    const std::vector<MetricInfo> infos = suite->metrics();
    const auto info = std::find_if(infos.begin(), infos.end(), [&](const MetricInfo& i) { return i.name == c.metric; });
    const bool rate = std::max({a.interval.high, b.interval.high}) <= 1 && std::min(a.interval.low, b.interval.low) >= 0;
    const double from = rate ? 0 : std::min(a.interval.low, b.interval.low), to = rate ? 1 : std::max({a.interval.high, b.interval.high, from + 1e-9});
    out += fmt::format("<tr><td><b>{}</b> <span class=soft>{}</span><small>{}{}</small></td>{}{}<td>{}</td><td class=n>{:+.3f}<small>{:+.3f} to {:+.3f}</small></td>{}<td class=n>{}</td></tr>\n",
                       html_escape(short_name(c.metric)), html_escape(c.suite), html_escape(info->meaning),
                       c.direction == Direction::kLowerIsBetter ? "; lower is better" : "", number_cell(a.value, a.interval), number_cell(b.value, b.interval),
                       draw_intervals({a.interval.low, a.value, a.interval.high}, {b.interval.low, b.value, b.interval.high}, from, to), c.difference.value,
                       c.difference.interval.low, c.difference.interval.high, verdict_cell(c), c.n_rows);
  }
  return out;
}

// Suites that only one of the evaluations holds, as they come.
std::string single_suites(const std::vector<std::string>& names, const fs::path& folder, const char* which) {
  std::string rows;
  for (const std::string& name : names) {
    const auto suite = make_suite(name);
    const std::vector<MetricInfo> infos = suite->metrics();
    for (const MetricValue& value : summarise(*suite, read_rows(folder, name))) {
      const auto info = std::find_if(infos.begin(), infos.end(), [&](const MetricInfo& i) { return i.name == value.metric; });
      rows += fmt::format("<tr><td><b>{}</b> <span class=soft>{}</span><small>{}{}</small></td>{}<td class=n>{}</td></tr>\n", html_escape(short_name(value.metric)),
                          html_escape(name), html_escape(info->meaning), info->direction == Direction::kLowerIsBetter ? "; lower is better" : "",
                          number_cell(value.value, value.interval), value.n);
    }
  }
  if (rows.empty()) return "";
  return fmt::format("<h3>Measured {0} only</h3><div class=\"card scroll\"><table><tr><th>measure</th><th class=n>{0}</th><th class=n>n</th></tr>\n{1}</table></div>\n", which, rows);
}

// How far the graders of these suites agree with people.
std::string agreements(const Comparison& comparison) {
  std::vector<std::string> names = comparison.only_before;
  names.insert(names.end(), comparison.only_after.begin(), comparison.only_after.end());
  for (const MetricComparison& c : comparison.metrics)
    if (std::find(names.begin(), names.end(), c.suite) == names.end()) names.push_back(c.suite);
  std::string out;
  for (const std::string& name : names)
    if (const std::string line = agreement_line(*make_suite(name)); !line.empty()) out += "<p class=soft>" + html_escape(line) + ".</p>\n";
  return out;
}

std::string before_and_after(const fs::path& before, const fs::path& after, const Margins& margins) {
  const Comparison comparison = compare_evaluations(before, after, margins);
  std::string gate = comparison.n_gated == 0 ? "" : fmt::format(" The gate says <span class={0}>{0}</span>.", verdict_name(comparison.verdict));
  return "<h2>Before and after</h2>\n<p>The same prompts, answered by the model before and after this run. Small figures are 95 % intervals; the change is paired, prompt by prompt." +
         gate +
         "</p>\n<div class=legend><span><i style=\"color:var(--series-8)\"></i>before</span><span><i style=\"color:var(--series-1)\"></i>after</span></div>"
         "<div class=\"card scroll\"><table><tr><th>measure</th><th class=n>before</th><th class=n>after</th><th></th><th class=n>change</th><th></th><th class=n>prompts</th></tr>\n" +
         comparison_rows(comparison, before, after) + "</table></div>\n" + single_suites(comparison.only_before, before, "before") +
         single_suites(comparison.only_after, after, "after") + agreements(comparison);
}

// --- record ------------------------------------------------------------------------------------------------------

std::string events_table(const std::vector<Json>& events) {
  if (events.empty()) return "";
  std::string rows;
  for (const Json& event : events) {
    std::string details;
    for (const auto& [key, value] : event.items())
      if (key != "time" && key != "event" && key != "step") details += (details.empty() ? "" : ", ") + key + " " + (value.is_string() ? value.get<std::string>() : value.dump());
    const auto text_of = [&](const char* key) { return event.contains(key) ? (event[key].is_string() ? event[key].get<std::string>() : event[key].dump()) : ""; };
    rows += fmt::format("<tr><td>{}</td><td class=n>{}</td><td>{}</td><td>{}</td></tr>\n", html_escape(text_of("time")), html_escape(text_of("step")),
                        html_escape(text_of("event")), html_escape(details));
  }
  return fmt::format("<details><summary>Events ({})</summary><div class=\"card scroll\"><table><tr><th>time</th><th class=n>step</th><th>event</th><th></th></tr>\n{}</table></div></details>\n",
                     events.size(), rows);
}

std::string environment_table(const Json& environment, const char* title) {
  std::string rows;
  for (const auto& [key, value] : environment.items())
    if (key != "earlier") rows += fmt::format("<tr><td>{}</td><td>{}</td></tr>", html_escape(text::replace_all(key, "_", " ")),
                        html_escape(value.is_string() ? value.get<std::string>() : value.dump()));
  return fmt::format("<h3>{}</h3><div class=\"card scroll\"><table>{}</table></div>\n", title, rows);
}

std::string record(const RunFiles& run) {
  std::string out = "<h2>Record</h2>\n";
  for (const std::string& gap : run.gaps) out += "<p><b>The record is not complete.</b> " + html_escape(gap) + "</p>\n";
  out += events_table(run.events);
  if (!run.settings.empty()) out += "<details open><summary>Every setting</summary><pre>" + html_escape(run.settings) + "</pre></details>\n";
  if (run.environment) {
    out += environment_table(*run.environment, "Environment");
    if (run.environment->contains("earlier") && (*run.environment)["earlier"].is_array())
      for (const Json& earlier : (*run.environment)["earlier"])
        if (earlier.is_object()) out += environment_table(earlier, "Environment of an earlier start");
  }
  return out;
}

}  // namespace

std::string make_report(const ReportInput& input) {
  const RunFiles run = read_run(input.run);
  std::string name = input.title;
  if (name.empty()) name = fs::weakly_canonical(input.run).filename().string();
  std::string subtitle;
  if (run.environment && run.environment->contains("temper")) {
    const Json& e = *run.environment;
    subtitle = fmt::format("Temper {}{}", e["temper"].is_string() ? e["temper"].get<std::string>() : e["temper"].dump(),
                           e.contains("commit") && e["commit"].is_string() ? ", commit " + e["commit"].get<std::string>() : "");
  }
  std::string body = fmt::format("<h1>{}</h1>\n<div class=soft>{}</div>\n", html_escape(name), html_escape(subtitle)) + tiles(run);
  if (input.before && input.after) body += before_and_after(*input.before, *input.after, input.margins);
  body += plots(run);
  if (input.before && input.after) body += sample_pairs(*input.before, *input.after);
  body += record(run);
  return fmt::format("<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\"><title>{}</title><style>{}</style></head>\n<body><main>\n{}</main></body></html>\n",
                     html_escape(name), kReportStyle, body);
}

}  // namespace temper
