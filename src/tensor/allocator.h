#pragma once
// A caching CPU allocator.  Fresh large blocks cost a page fault for every 4 KiB (4-10 times slower element-wise
// operations); this one keeps freed blocks in size classes and asks for huge pages.

#include <cstddef>

namespace temper {

struct AllocatorStats {
  size_t in_use_bytes;   // handed out now
  size_t peak_bytes;     // most ever handed out at once (since reset_allocator_peak)
  size_t cached_bytes;   // freed by tensors, kept here
  size_t n_allocations;  // blocks handed out so far
};

/// Makes it libtorch's CPU allocator.  Call once, before the first tensor.
void install_caching_allocator();
AllocatorStats allocator_stats();
void reset_allocator_peak();
/// Gives all cached blocks back to the system.
void release_cached_memory();

}  // namespace temper
