#pragma once
// Which samples share a row.

#include <cstdint>
#include <functional>
#include <vector>

namespace temper {

/// The samples of one row, in their order in it.
using PackedRow = std::vector<int64_t>;

/// Best-fit-decreasing: longest sample first, each into the row with the least room that still holds it (the earlier row on a
/// tie), a new row if none does.  No sample is split or left out.  At most 11/9 of the fewest possible rows, plus one.
/// Rows are returned in the order in which they were opened.
/// REQUIRES length(sample) <= capacity for all samples.
std::vector<PackedRow> pack_best_fit(const std::vector<int64_t>& samples, const std::function<int64_t(int64_t)>& length, int64_t capacity);

}  // namespace temper
