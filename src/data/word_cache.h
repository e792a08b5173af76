#pragma once
// Ids of words that have been seen: most words of a text are frequent, so most merges need not be done again.

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace temper {

/// Direct-mapped: a word has one slot, the latest word there stays.  Long words are not kept.  One thread at a time.
class WordCache {
 public:
  static constexpr size_t kMaxBytes = 30, kMaxIds = 8;

  /// The ids kept for `word`; null if there are none.  `hash` of the word is left for store().
  struct Slot {
    uint8_t n_bytes = 0, n_ids = 0;
    char bytes[kMaxBytes];
    int32_t ids[kMaxIds];
  };
  Slot& slot(uint64_t hash) { return slots_[hash & (kSlots - 1)]; }

  static bool holds(const Slot& slot, std::string_view word) {
    return slot.n_bytes == word.size() && std::memcmp(slot.bytes, word.data(), word.size()) == 0;
  }
  static void store(Slot& slot, std::string_view word, std::span<const int32_t> ids) {
    if (ids.size() > kMaxIds) return;
    slot.n_bytes = static_cast<uint8_t>(word.size());
    slot.n_ids = static_cast<uint8_t>(ids.size());
    std::memcpy(slot.bytes, word.data(), word.size());
    std::memcpy(slot.ids, ids.data(), ids.size_bytes());
  }

 private:
  static constexpr size_t kSlots = 1 << 15;
  std::vector<Slot> slots_{kSlots};
};

}  // namespace temper
