#include "eval/report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace temper {
namespace {

constexpr double kWidth = 640, kHeight = 250, kLeft = 58, kRight = 14, kTop = 10, kBottom = 34;
constexpr size_t kMostPoints = 500;   // about one a pixel

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void take(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  bool empty() const { return low > high; }
};

// Maps a data range to pixels.
struct Axis {
  Range range;
  double first_pixel, last_pixel;
  bool log = false;

  double operator()(double v) const {
    const double low = log ? std::log10(range.low) : range.low, high = log ? std::log10(range.high) : range.high;
    return first_pixel + ((log ? std::log10(v) : v) - low) / (high - low) * (last_pixel - first_pixel);
  }
};

std::string grouped(double v) {
  std::string digits = fmt::format("{:.0f}", std::abs(v));
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), 1, ',');
  return (v < 0 ? "-" : "") + digits;
}

std::string label(double v, bool whole) {
  if ((whole && std::abs(v) < 1e15) || (v == std::floor(v) && std::abs(v) >= 1000 && std::abs(v) < 1e7)) return grouped(v);
  const double size = std::abs(v);
  if (v != 0 && (size < 1e-4 || size >= 1e7)) return fmt::format("{:.1e}", v);
  return fmt::format("{:.4g}", v);
}

std::vector<double> decades(const Range& r) {
  std::vector<double> ticks;
  for (int e = static_cast<int>(std::ceil(std::log10(r.low) - 1e-9)); std::pow(10, e) <= r.high * (1 + 1e-9); ++e) ticks.push_back(std::pow(10, e));
  return ticks.size() >= 2 ? ticks : round_ticks(r.low, r.high, 4);
}

// Mean of runs of neighbours: at most kMostPoints points.
Series thinned(const Series& s) {
  if (s.x.size() <= kMostPoints) return s;
  Series out = s;
  out.x.clear();
  out.y.clear();
  for (size_t k = 0; k < kMostPoints; ++k) {
    const size_t first = k * s.x.size() / kMostPoints, last = (k + 1) * s.x.size() / kMostPoints;
    double x = 0, y = 0, n = 0;
    for (size_t i = first; i < last; ++i) {
      if (!std::isfinite(s.y[i])) continue;
      x += s.x[i];
      y += s.y[i];
      ++n;
    }
    out.x.push_back(n ? x / n : s.x[first]);
    out.y.push_back(n ? y / n : std::nan(""));
  }
  return out;
}

// Larger numbers leave double's range when the axis is laid out.
bool drawable(double v, bool log) { return std::abs(v) < 1e300 && (!log || v > 1e-300); }

std::string path_of(const Series& s, const Axis& x, const Axis& y) {
  std::string d;
  bool down = false;
  for (size_t i = 0; i < s.x.size(); ++i) {
    if (!drawable(s.y[i], y.log) || !drawable(s.x[i], false)) {
      down = false;
      continue;
    }
    d += fmt::format("{}{:.1f} {:.1f}", down ? "L" : "M", x(s.x[i]), y(s.y[i]));
    down = true;
  }
  return d;
}

std::pair<Range, Range> ranges_of(const Plot& plot) {
  Range x, y;
  for (const Series& s : plot.series)
    for (size_t i = 0; i < s.x.size(); ++i) {
      if (!drawable(s.y[i], plot.log_y) || !drawable(s.x[i], false)) continue;
      x.take(s.x[i]);
      y.take(s.y[i]);
    }
  if (x.empty()) return {x, y};
  if (x.low == x.high) {
    const double half = std::max(0.5, 1e-3 * std::abs(x.low));
    x = {x.low - half, x.high + half};
  }
  if (plot.y_from_zero) y.take(0);
  if (plot.log_y) {
    y = {y.low / 1.15, y.high * 1.15};
  } else {
    const double pad = y.high > y.low ? 0.05 * (y.high - y.low) : std::max(0.5 * std::abs(y.high), 1e-6);
    y = {plot.y_from_zero && y.low == 0 ? 0 : y.low - pad, y.high + pad};
  }
  return {x, y};
}

std::string frame(const Plot& plot, const Axis& x, const Axis& y) {
  std::string out;
  for (const double tick : plot.log_y ? decades(y.range) : round_ticks(y.range.low, y.range.high, 5))
    out += fmt::format("<line class=grid x1={} x2={} y1={:.1f} y2={:.1f} /><text class=tick x={} y={:.1f} text-anchor=end>{}</text>", kLeft, kWidth - kRight, y(tick),
                       y(tick), kLeft - 7, y(tick) + 4, label(tick, plot.whole_numbers));
  for (const double tick : round_ticks(x.range.low, x.range.high, 7))
    out += fmt::format("<text class=tick x={:.1f} y={} text-anchor=middle>{}</text>", x(tick), kHeight - kBottom + 17, label(tick, false));
  out += fmt::format("<line class=axis x1={} x2={} y1={} y2={} />", kLeft, kWidth - kRight, kHeight - kBottom, kHeight - kBottom);
  out += fmt::format("<text class=tick x={} y={} text-anchor=end>{}</text>", kWidth - kRight, kHeight - 3, html_escape(plot.x_label));
  return out;
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&quot;";
    else if (c == '\'') out += "&#39;";
    else out += c;
  }
  return out;
}

std::vector<double> round_ticks(double low, double high, int count) {
  const double rough = (high - low) / count, power = std::pow(10, std::floor(std::log10(rough)));
  const double step = rough / power < 1.5 ? power : rough / power < 3.5 ? 2 * power : rough / power < 7.5 ? 5 * power : 10 * power;
  std::vector<double> ticks;
  if (!std::isfinite(step) || step <= 0) return ticks;
  const double first = std::ceil(low / step - 1e-9);
  for (int i = 0; i <= 2 * count; ++i) {   // `first` may be so large that adding 1 changes nothing
    const double tick = (first + i) * step;
    if (tick > high + 1e-9 * step) break;
    if (ticks.empty() || tick > ticks.back()) ticks.push_back(tick == 0 ? 0 : tick);
  }
  return ticks;
}

std::vector<double> smoothed(const std::vector<double>& y, double half_life) {
  const double keep = std::pow(0.5, 1 / half_life);
  std::vector<double> out(y.size(), std::nan(""));
  double sum = 0, weight = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    if (!std::isfinite(y[i])) continue;
    sum = keep * sum + y[i];
    weight = keep * weight + 1;   // so the first values are not pulled to 0
    out[i] = sum / weight;
  }
  return out;
}

std::string draw(const Plot& plot) {
  const auto [x_range, y_range] = ranges_of(plot);
  if (x_range.empty()) return "";
  const Axis x{x_range, kLeft, kWidth - kRight}, y{y_range, kHeight - kBottom, kTop, plot.log_y};
  std::string lines, legend;
  int place = 0;
  size_t n_named = 0;
  for (const Series& s : plot.series) n_named += !s.faint;
  for (const Series& s : plot.series) {
    if (!s.faint) ++place;
    const int colour = s.colour ? s.colour : (std::max(place, 1) - 1) % kSeriesColours + 1;
    const Series shown = thinned(s);
    // More series than colours: the second round is dashed.
    const bool dashed = !s.faint && place > kSeriesColours;
    lines += fmt::format("<path class=\"line{}{}\" style=\"stroke:var(--series-{})\" d=\"{}\"><title>{}</title></path>", s.faint ? " faint" : "", dashed ? " dashed" : "",
                         colour, path_of(shown, x, y), html_escape(s.name));
    if (shown.x.size() <= 40 && !s.faint)   // few points: show where they are
      for (size_t i = 0; i < shown.x.size(); ++i)
        if (drawable(shown.y[i], plot.log_y))
          lines += fmt::format("<circle r=3 cx={:.1f} cy={:.1f} style=\"fill:var(--series-{})\"><title>{} {}: {}</title></circle>", x(shown.x[i]), y(shown.y[i]),
                               colour, html_escape(plot.x_label), label(shown.x[i], false), label(shown.y[i], plot.whole_numbers));
    if (!s.faint && n_named > 1)
      legend += fmt::format("<span><i{} style=\"color:var(--series-{})\"></i>{}</span>", dashed ? " class=dashed" : "", colour, html_escape(s.name));
  }
  return fmt::format(
      "<figure><figcaption><b>{}</b><small>{}</small></figcaption>{}<svg viewBox=\"0 0 {} {}\" role=img aria-label=\"{}\">{}{}</svg></figure>\n",
      html_escape(plot.title), html_escape(plot.y_label), legend.empty() ? "" : "<div class=legend>" + legend + "</div>", kWidth, kHeight,
      html_escape(plot.title), frame(plot, x, y), lines);
}

std::string draw_intervals(const IntervalMark& before, const IntervalMark& after, double from, double to) {
  constexpr double kWide = 180, kHigh = 26, kMargin = 5;
  const Axis x{{from, to}, kMargin, kWide - kMargin};
  const auto mark = [&](const IntervalMark& m, double y, int colour) {
    return fmt::format("<line x1={:.1f} x2={:.1f} y1={} y2={} style=\"stroke:var(--series-{})\" stroke-width=2 /><circle r=4 cx={:.1f} cy={} style=\"fill:var(--series-{})\" />",
                       x(m.low), x(m.high), y, y, colour, x(m.value), y, colour);
  };
  return fmt::format("<svg class=intervals viewBox=\"0 0 {} {}\" role=img aria-label=\"intervals\"><line class=grid x1={} x2={} y1=13 y2=13 />{}{}</svg>", kWide, kHigh,
                     kMargin, kWide - kMargin, mark(before, 7, 8), mark(after, 19, 1));
}

}  // namespace temper
