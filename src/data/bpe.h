#pragma once
// Byte-pair merges: the bytes of one piece become tokens by joining, again and again, the neighbouring pair of lowest rank.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace temper {

/// Join `left` and `right` (token ids) into `joined`.
struct Merge {
  int32_t left, right, joined;
};

/// Threads: const methods from any thread.
class Bpe {
 public:
  Bpe() = default;
  /// Shapes   byte2id [256], -1 where a byte has no token; merges in the order of their rank.
  /// REQUIRES merges.size() < 2^32 and no pair twice (checked by the reader of the files).
  Bpe(const std::array<int32_t, 256>& byte2id, const std::vector<Merge>& merges);

  /// Appends the tokens of `piece`.  Returns the first byte without a token, -1 if all have one (then nothing is missing).
  /// Ties between equal pairs go to the leftmost.  Time O(n log n) for n bytes.
  int encode(std::string_view piece, std::vector<int32_t>& out) const;

 private:
  /// rank << 32 | joined id: the smaller is merged first.
  using Joined = uint64_t;
  static constexpr Joined kNoMerge = ~Joined{0};

  Joined find(int32_t left, int32_t right) const;
  void merge_short(std::string_view piece, std::vector<int32_t>& out) const;
  void merge_long(std::string_view piece, std::vector<int32_t>& out) const;

  static constexpr uint64_t kEmpty = ~uint64_t{0};

  std::array<int32_t, 256> byte2id_{};
  std::vector<Joined> byte_pairs_;  // [first byte << 8 | second byte]: every merge begins with two bytes
  // Open addressing; sizes are a power of two.  Keys (left << 32 | right) lie apart from what they become: most searches fail.
  std::vector<uint64_t> keys_;
  std::vector<Joined> values_;
  int shift_ = 64;
};

}  // namespace temper
