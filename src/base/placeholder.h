#pragma once
// Files that a download left in place of the real ones.

#include <string>
#include <string_view>

#include "base/error.h"

namespace temper {

/// Throws Error{kind} if a file that begins with `head` (512 bytes are enough) is a Git LFS pointer, an HTML page or empty.
void refuse_placeholder(std::string_view head, const std::string& where, ErrorKind kind);

}  // namespace temper
