#pragma once
// Counts the memory that a computation would take, by doing it on `meta` tensors: they have shapes, and no bytes behind them.  Blocks are
// placed by the rules of the CPU allocator (tensor/arena.h), so that the count is of resident memory, not only of live tensors.

#include <cstddef>
#include <map>
#include <memory>
#include <string>

namespace temper {

/// What tensors on `meta` would take while this object lives; one at a time.
/// Rows are the parts of a Profile (tensor/profile.h) that was active when a tensor was made, "other" without one.
/// Threads  tensors may be freed on any thread; everything else on one
class MemoryCount {
 public:
  using Rows = std::map<std::string, size_t>;

  MemoryCount();
  ~MemoryCount();
  MemoryCount(const MemoryCount&) = delete;
  MemoryCount& operator=(const MemoryCount&) = delete;

  size_t live_bytes() const;
  /// Most bytes that were live at once since reset_peak, and what they were.
  size_t peak_bytes() const;
  Rows rows_at_peak() const;
  /// Touched at most since reset_peak: peak_bytes and the gaps between blocks.
  size_t resident_bytes() const;
  /// Forgets everything above the highest live block.
  void reset_peak();

  struct State;   // shared with the tensors it counts: they may outlive it

 private:
  std::shared_ptr<State> state_;
};

/// Makes the counting allocator libtorch's allocator of `meta`; its tensors have an address that must not be read, where libtorch's own
/// have null.  Called by install_caching_allocator.
void install_meta_allocator();

}  // namespace temper
