#pragma once
// Where blocks lie in one range of addresses that grows at its end.  Bookkeeping alone: the CPU allocator puts memory behind it, the
// memory plan replays a run on it without any (docs/memory.md).  Equal sequences of calls give equal offsets.

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace temper {

/// Blocks below this many bytes come from malloc: it is fast enough there and wastes less.
inline constexpr size_t kSmallBlock = size_t{64} << 10;

/// Best fit: a block takes the smallest free range that holds it, the lowest of equal ones, and leaves the rest of it free; a freed block
/// joins its free neighbours.
/// Units    bytes; sizes are rounded up to kGranule
/// Threads  one at a time
class Arena {
 public:
  static constexpr size_t kGranule = 4096;

  /// -> offset of a block of at least `bytes`.
  size_t take(size_t bytes);
  /// Frees the block at `offset` -> its rounded size.  Needs no memory: destructors of tensors call it.
  size_t give(size_t offset);
  /// Forgets what lies beyond `extent` and beyond the highest block in use.
  void cut(size_t extent);

  /// End of the highest block that was ever taken: with memory behind the arena, what has been touched.
  size_t extent() const { return extent_; }
  size_t in_use() const { return in_use_; }
  void for_each_free(const std::function<void(size_t offset, size_t bytes)>& visit) const;

 private:
  /// The nodes of one free range in the two lists below.
  struct Node {
    std::map<size_t, size_t>::node_type range;
    std::set<std::pair<size_t, size_t>>::node_type size;
  };
  void prepare_node();
  void add_free(size_t offset, size_t bytes);
  void remove_free(std::map<size_t, size_t>::iterator range);

  std::map<size_t, size_t> free_;                       // offset -> bytes; no two are neighbours
  std::set<std::pair<size_t, size_t>> free_by_size_;    // (bytes, offset) of the same ranges
  std::unordered_map<size_t, size_t> used_;             // offset -> bytes
  std::vector<Node> spare_;                             // at least one for each block in use
  size_t n_nodes_ = 0;                                  // in all
  size_t extent_ = 0, in_use_ = 0;
};

}  // namespace temper
