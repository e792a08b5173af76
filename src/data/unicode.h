#pragma once
// The Unicode classes that tokenizer patterns ask for.  Unicode 16.0 (src/data/unicode_table.inc).

#include <cstdint>

#include "base/utf8.h"

namespace temper {

/// General category (its first letter) or White_Space; everything else, unassigned code points too, is kOther.
enum CharClass : uint8_t { kOther, kLetter, kMark, kNumber, kPunctuation, kSymbol, kSpace };

/// The class of one code point; kOther for values beyond U+10FFFF.  Threads: any.
CharClass char_class(char32_t code);

}  // namespace temper
