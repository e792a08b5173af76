#include "data/unicode.h"

#include <algorithm>
#include <vector>

namespace temper {
namespace {

struct ClassRange {
  char32_t first, last;
  CharClass char_class;
};
constexpr ClassRange kClassRanges[] = {
#include "data/unicode_table.inc"
};
constexpr char32_t kCodePoints = 0x110000;

std::vector<CharClass> expand_ranges() {
  std::vector<CharClass> classes(kCodePoints, kOther);
  for (const ClassRange& range : kClassRanges) std::fill(&classes[range.first], &classes[range.last] + 1, range.char_class);
  return classes;
}

}  // namespace

CharClass char_class(char32_t code) {
  static const std::vector<CharClass> classes = expand_ranges();
  return code < kCodePoints ? classes[code] : kOther;
}

}  // namespace temper
