#include "data/packing.h"

#include <algorithm>
#include <set>
#include <utility>

namespace temper {

std::vector<PackedRow> pack_best_fit(const std::vector<int64_t>& samples, const std::function<int64_t(int64_t)>& length, int64_t capacity) {
  std::vector<int64_t> order = samples;
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return length(a) > length(b); });
  std::vector<PackedRow> rows;
  std::set<std::pair<int64_t, size_t>> room;   // (tokens left, row)
  for (const int64_t sample : order) {
    const int64_t n = length(sample);
    auto best = room.lower_bound({n, 0});
    size_t row;
    int64_t left;
    if (best == room.end()) {
      row = rows.size();
      left = capacity - n;
      rows.emplace_back();
    } else {
      row = best->second;
      left = best->first - n;
      room.erase(best);
    }
    rows[row].push_back(sample);
    if (left > 0) room.insert({left, row});
  }
  return rows;
}

}  // namespace temper
