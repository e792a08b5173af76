#include "tensor/allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tensor/arena.h"
#include "tensor/memory_count.h"
#include "tensor/profile.h"

namespace temper {
namespace {

constexpr size_t kAlignment = 64;                       // a cache line and an AVX-512 register
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kGrowth = size_t{64} << 20;            // addresses become usable in steps of this size
constexpr size_t kMostKept = size_t{4} << 20;           // of small blocks
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kEveryBlockAlone = true;
#else
constexpr bool kEveryBlockAlone = false;
#endif

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

[[noreturn]] void no_memory(size_t bytes) {
  throw Error({.kind = ErrorKind::kResource,
               .what = fmt::format("no memory for a block of {} bytes", bytes),
               .where = "CPU allocator",
               .fix = "use a smaller batch, set [memory] budget_gib so that sub-layers are computed again, or use a machine with more memory"});
}

// Addresses without memory: nothing is charged before a part of them is made usable.
class Reservation {
 public:
  Reservation() {
    const size_t physical = static_cast<size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    for (size_ = round_up(2 * physical + (size_t{64} << 30), kHugePage); size_ >= kGrowth; size_ /= 2) {   // less where addresses are limited
      void* found = ::mmap(nullptr, size_ + kHugePage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (found == MAP_FAILED) continue;
      base_ = reinterpret_cast<char*>(round_up(reinterpret_cast<size_t>(found), kHugePage));
      ::madvise(base_, size_, MADV_HUGEPAGE);
      return;
    }
    size_ = 0;
  }

  /// Makes the first `bytes` usable; false if the system refuses.
  bool grow(size_t bytes) {
    if (bytes <= usable_) return true;
    const size_t wanted = std::min(round_up(bytes, kGrowth), size_ / kHugePage * kHugePage);
    if (bytes > wanted || ::mprotect(base_ + usable_, wanted - usable_, PROT_READ | PROT_WRITE) != 0) return false;
    usable_ = wanted;
    return true;
  }
  char* at(size_t offset) const { return base_ + offset; }
  bool holds(const void* address) const { return address >= base_ && address < base_ + usable_; }
  size_t offset_of(const void* address) const { return static_cast<size_t>(static_cast<const char*>(address) - base_); }

 private:
  char* base_ = nullptr;
  size_t size_ = 0, usable_ = 0;
};

class CachingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* data = bytes == 0 ? nullptr : take(bytes);
    return {data, data, &CachingAllocator::free_block, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &CachingAllocator::free_block; }
  void copy_data(void* to, const void* from, size_t n) const override { std::memcpy(to, from, n); }

  AllocatorStats stats() {
    const std::lock_guard lock(mutex_);
    return {.in_use_bytes = in_use(), .peak_bytes = peak_, .cached_bytes = arena_.extent() - arena_.in_use() + kept_,
            .resident_bytes = arena_.extent() + small_peak_, .n_allocations = n_allocations_, .n_new = n_new_};
  }
  void reset_peak() {
    const std::lock_guard lock(mutex_);
    peak_ = in_use();
  }
  void release() {
    const std::lock_guard lock(mutex_);
    arena_.for_each_free([&](size_t offset, size_t bytes) { ::madvise(workspace_.at(offset), bytes, MADV_DONTNEED); });
    for (auto& blocks : free_small_)
      for (void* block : std::exchange(blocks, {})) std::free(block);
    kept_ = 0;
  }

  static CachingAllocator& instance() {
    static auto* allocator = new CachingAllocator;   // never destroyed: tensors may outlive static objects
    return *allocator;
  }

 private:
  size_t in_use() const { return arena_.in_use() + small_; }

  void* take(size_t bytes) {
    const std::lock_guard lock(mutex_);
    void* block = kEveryBlockAlone || bytes < kSmallBlock ? take_small(bytes) : take_large(bytes);
    ++n_allocations_;
    peak_ = std::max(peak_, in_use());
    return block;
  }

  // A small block lies behind a header with its size.  Freed ones are kept for the next of their size: a decoding step asks for hundreds, the
  // same in every step.
  void* take_small(size_t bytes) {
    const size_t size = round_up(bytes, kAlignment);
    void* start = nullptr;
    if (!kEveryBlockAlone && !free_small_[size / kAlignment].empty()) {
      start = free_small_[size / kAlignment].back();
      free_small_[size / kAlignment].pop_back();
      kept_ -= size;
    } else {
      if (::posix_memalign(&start, kAlignment, kAlignment + size) != 0) no_memory(bytes);
      *static_cast<size_t*>(start) = size;
      ++n_new_;
    }
    small_ += size;
    small_peak_ = std::max(small_peak_, small_ + kept_);
    return static_cast<char*>(start) + kAlignment;
  }

  void free_small(void* block) {
    void* const start = static_cast<char*>(block) - kAlignment;
    const size_t size = *static_cast<const size_t*>(start);
    small_ -= size;
    if (kEveryBlockAlone || kept_ + size > kMostKept) return std::free(start);
    try {
      free_small_[size / kAlignment].push_back(start);
    } catch (const std::bad_alloc&) {   // this may be called by a destructor
      return std::free(start);
    }
    kept_ += size;
  }

  void* take_large(size_t bytes) {
    const size_t before = arena_.extent(), offset = arena_.take(bytes);
    if (arena_.extent() > before) {
      const ProfileWork work("allocation");
      ++n_new_;
      if (!workspace_.grow(arena_.extent())) {
        arena_.give(offset);
        arena_.cut(before);
        no_memory(bytes);
      }
    }
    return workspace_.at(offset);
  }

  static void free_block(void* block) {
    if (!block) return;
    CachingAllocator& self = instance();
    const std::lock_guard lock(self.mutex_);
    if (self.workspace_.holds(block)) {
      self.arena_.give(self.workspace_.offset_of(block));
      return;
    }
    self.free_small(block);
  }

  std::mutex mutex_;
  Reservation workspace_;
  Arena arena_;
  std::array<std::vector<void*>, kSmallBlock / kAlignment + 1> free_small_;   // by size
  size_t kept_ = 0;                                                           // bytes in them
  size_t small_ = 0, small_peak_ = 0, peak_ = 0, n_allocations_ = 0, n_new_ = 0;
};

}  // namespace

void install_caching_allocator() {
  c10::SetCPUAllocator(&CachingAllocator::instance(), /*priority=*/100);
  install_meta_allocator();
}
AllocatorStats allocator_stats() { return CachingAllocator::instance().stats(); }
void reset_allocator_peak() { CachingAllocator::instance().reset_peak(); }
void release_cached_memory() { CachingAllocator::instance().release(); }

}  // namespace temper
