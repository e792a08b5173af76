#pragma once
// Copies of other tools that cannot be read, known by the names of their tensors.

#include <string>
#include <string_view>

namespace temper {

/// Error{kCheckpoint} with the tool and what to use instead, if a tensor of this name is only written by such a tool.
void refuse_foreign_format(std::string_view name, const std::string& where);

}  // namespace temper
