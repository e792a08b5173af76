#pragma once
// libtorch's CPU allocator as one workspace: a range of addresses from which tensors are served (tensor/arena.h) and that keeps its pages.
// Fresh memory costs a page fault for every 4 KiB (4-10 times slower element-wise operations); here a step touches the pages of the step
// before it, in huge pages where the system has them.

#include <cstddef>

namespace temper {

/// Bytes but the last.  Blocks are counted as they are cut: rounded up to whole pages, small ones to 64 bytes.
struct AllocatorStats {
  size_t in_use_bytes;     // handed out now
  size_t peak_bytes;       // most ever handed out at once (since reset_allocator_peak)
  size_t cached_bytes;     // freed by tensors, kept here
  size_t resident_bytes;   // touched by tensors so far, at most: the extent of the workspace and the peak of the small blocks
  size_t n_allocations;    // blocks handed out so far
  size_t n_new;            // of these, ones for which tensors had no memory yet
};

/// Makes it libtorch's CPU allocator, and counting (tensor/memory_count.h) that of `meta`.  Call once, before the first tensor.
/// Errors  tensors throw Error{kResource} where the system has no more memory
/// Threads any
/// With AddressSanitizer every block is its own malloc, so that it sees their ends.
void install_caching_allocator();
AllocatorStats allocator_stats();
void reset_allocator_peak();
/// Gives all free blocks back to the system.
void release_cached_memory();

}  // namespace temper
