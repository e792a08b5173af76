#pragma once
#include <string_view>

namespace temper {

/// Whether Python's json.loads accepts the text: any value at the top, NaN and Infinity too, nothing after it.
bool python_accepts_json(std::string_view text);

}  // namespace temper
