#pragma once
// Line plots and interval marks as inline SVG.  Colours are CSS variables (--series-1 ...), so that one picture serves light and dark.

#include <string>
#include <vector>

namespace temper {

inline constexpr int kSeriesColours = 8;

struct Series {
  std::string name;
  std::vector<double> x, y;   // NaN in y leaves a gap
  bool faint = false;         // drawn thin and pale, not in the legend: raw values behind their smoothed line
  int colour = 0;             // 1 to kSeriesColours; 0: its place among the series that are not faint
};

struct Plot {
  std::string title, x_label, y_label;
  std::vector<Series> series;
  bool log_y = false;
  bool y_from_zero = false;
  bool whole_numbers = false;   // y labels like 12,345 instead of 1.2e4
};

/// A <figure> with title, legend (of two series and more) and drawing.  Long series are thinned to what the width can show.
std::string draw(const Plot& plot);

/// Exponential moving average with the given half-life in points; gaps stay gaps.
std::vector<double> smoothed(const std::vector<double>& y, double half_life);

struct IntervalMark {
  double low, value, high;
};
/// One row of a table: two marks (before above after) on one axis from `from` to `to`.
std::string draw_intervals(const IntervalMark& before, const IntervalMark& after, double from, double to);

/// Axis ticks: round numbers (1, 2 or 5 times a power of ten) within [low, high], about `count` of them.
std::vector<double> round_ticks(double low, double high, int count);

/// &, <, >, and quotes as entities.
std::string html_escape(std::string_view text);

}  // namespace temper
