#include "data/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <queue>

namespace temper {
namespace {

/// Up to this many bytes a scan over all pairs is faster than a heap.
constexpr size_t kShortPiece = 64;

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

size_t hash_slot(uint64_t pair, int shift) { return static_cast<size_t>(((pair ^ (pair >> 29)) * 0x9E3779B97F4A7C15ull) >> shift); }

size_t byte_pair(std::string_view text, size_t at) {
  return static_cast<size_t>(static_cast<uint8_t>(text[at])) << 8 | static_cast<uint8_t>(text[at + 1]);
}

}  // namespace

Bpe::Bpe(const std::array<int32_t, 256>& byte2id, const std::vector<Merge>& merges) : byte2id_(byte2id) {
  const size_t capacity = std::bit_ceil(std::max<size_t>(2 * merges.size(), 16));
  keys_.assign(capacity, kEmpty);
  values_.assign(capacity, kNoMerge);
  shift_ = 64 - std::countr_zero(capacity);
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const uint64_t pair = pair_key(merges[rank].left, merges[rank].right);
    size_t slot = hash_slot(pair, shift_);
    while (keys_[slot] != kEmpty) slot = (slot + 1) & (capacity - 1);
    keys_[slot] = pair;
    values_[slot] = static_cast<Joined>(rank) << 32 | static_cast<uint32_t>(merges[rank].joined);
  }
  byte_pairs_.resize(256 * 256);
  for (size_t pair = 0; pair < byte_pairs_.size(); ++pair) byte_pairs_[pair] = find(byte2id[pair >> 8], byte2id[pair & 0xFF]);
}

Bpe::Joined Bpe::find(int32_t left, int32_t right) const {
  const uint64_t pair = pair_key(left, right);
  const size_t mask = keys_.size() - 1;
  for (size_t slot = hash_slot(pair, shift_);; slot = (slot + 1) & mask) {
    if (keys_[slot] == pair) return values_[slot];
    if (keys_[slot] == kEmpty) return kNoMerge;
  }
}

int Bpe::encode(std::string_view piece, std::vector<int32_t>& out) const {
  for (const char byte : piece) {
    if (byte2id_[static_cast<uint8_t>(byte)] < 0) return static_cast<uint8_t>(byte);
  }
  if (piece.size() > kShortPiece) merge_long(piece, out);
  else merge_short(piece, out);
  return -1;
}

void Bpe::merge_short(std::string_view piece, std::vector<int32_t>& out) const {
  int32_t ids[kShortPiece];
  Joined joined[kShortPiece];  // joined[i]: what ids[i] and ids[i + 1] would become
  size_t n = piece.size();
  for (size_t i = 0; i < n; ++i) ids[i] = byte2id_[static_cast<uint8_t>(piece[i])];
  for (size_t i = 0; i + 1 < n; ++i) joined[i] = byte_pairs_[byte_pair(piece, i)];
  while (n > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; ++i) {
      if (joined[i] < joined[best]) best = i;
    }
    if (joined[best] == kNoMerge) break;
    ids[best] = static_cast<int32_t>(joined[best] & 0xFFFFFFFF);
    std::memmove(ids + best + 1, ids + best + 2, (n - best - 2) * sizeof ids[0]);
    if (best + 2 < n) std::memmove(joined + best + 1, joined + best + 2, (n - best - 2) * sizeof joined[0]);
    --n;
    if (best > 0) joined[best - 1] = find(ids[best - 1], ids[best]);
    if (best + 1 < n) joined[best] = find(ids[best], ids[best + 1]);
  }
  out.insert(out.end(), ids, ids + n);
}

void Bpe::merge_long(std::string_view piece, std::vector<int32_t>& out) const {
  constexpr uint32_t kNone = ~uint32_t{0};
  const auto n = static_cast<uint32_t>(piece.size());
  std::vector<int32_t> ids(n);
  std::vector<uint32_t> before(n), after(n);  // a linked list over the symbols that are left
  std::vector<Joined> joined(n, kNoMerge);    // of a symbol and the one after it; kNoMerge for symbols that are gone
  struct Candidate {
    Joined joined;
    uint32_t at;
    bool operator>(const Candidate& other) const { return joined != other.joined ? joined > other.joined : at > other.at; }
  };
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto consider = [&](uint32_t at) {
    joined[at] = after[at] == kNone ? kNoMerge : find(ids[at], ids[after[at]]);
    if (joined[at] != kNoMerge) candidates.push({joined[at], at});
  };
  for (uint32_t i = 0; i < n; ++i) {
    ids[i] = byte2id_[static_cast<uint8_t>(piece[i])];
    before[i] = i == 0 ? kNone : i - 1;
    after[i] = i + 1 < n ? i + 1 : kNone;
  }
  for (uint32_t i = 0; i < n; ++i) consider(i);
  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    if (joined[best.at] != best.joined) continue;  // one of the two has been joined with another since
    const uint32_t gone = after[best.at];
    ids[best.at] = static_cast<int32_t>(best.joined & 0xFFFFFFFF);
    joined[gone] = kNoMerge;
    after[best.at] = after[gone];
    if (after[gone] != kNone) before[after[gone]] = best.at;
    consider(best.at);
    if (before[best.at] != kNone) consider(before[best.at]);
  }
  for (uint32_t at = 0; at != kNone; at = after[at]) out.push_back(ids[at]);
}

}  // namespace temper
