#pragma once
#include <string_view>

namespace temper {

/// Whether a text is language at all.  False for blank texts, texts without letters or digits, replacement characters, the same word or
/// phrase over and over, and words that cannot be pronounced.  It does not judge sense: that is for people and larger models.
/// The bounds are in coherence.cpp, each with its reason.
bool is_coherent(std::string_view text);

}  // namespace temper
