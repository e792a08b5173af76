#include "tensor/allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "tensor/profile.h"

namespace temper {
namespace {

constexpr size_t kAlignment = 64;                // a cache line and an AVX-512 register
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kSmall = size_t{64} << 10;      // below: malloc is fast enough and wastes less

// Four classes for each power of two: at most 19 % of a block is unused.
size_t size_class(size_t bytes) {
  const size_t top = std::bit_floor(bytes), step = std::max<size_t>(top / 4, kAlignment);
  return (bytes + step - 1) / step * step;
}

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
    return {in_use_, peak_, cached_, n_allocations_};
  }
  void reset_peak() {
    const std::lock_guard lock(mutex_);
    peak_ = in_use_;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    for (auto& [size, blocks] : free_)
      for (void* block : blocks) std::free(block);
    free_.clear();
    cached_ = 0;
  }

  static CachingAllocator& instance() {
    static auto* allocator = new CachingAllocator;   // never destroyed: tensors may outlive static objects
    return *allocator;
  }

 private:
  void* take(size_t bytes) {
    const size_t size = size_class(std::max(bytes, kAlignment));
    const std::lock_guard lock(mutex_);
    void* block = nullptr;
    if (auto& blocks = free_[size]; !blocks.empty()) {
      block = blocks.back();
      blocks.pop_back();
      cached_ -= size;
    } else {
      block = fresh(size);
    }
    size_of_[block] = size;
    in_use_ += size;
    ++n_allocations_;
    peak_ = std::max(peak_, in_use_);
    return block;
  }

  static void* fresh(size_t size) {
    const ProfileWork work("allocation");
    const size_t alignment = size >= kHugePage ? kHugePage : kAlignment;
    void* block = nullptr;
    if (::posix_memalign(&block, alignment, size) != 0)
      throw Error({.kind = ErrorKind::kResource,
                   .what = fmt::format("no memory for a block of {} bytes", size),
                   .where = "CPU allocator",
                   .fix = "use a smaller batch, turn on recomputation or use a machine with more memory"});
    if (size >= kHugePage) ::madvise(block, size, MADV_HUGEPAGE);
    return block;
  }

  static void free_block(void* block) {
    if (!block) return;
    CachingAllocator& self = instance();
    const std::lock_guard lock(self.mutex_);
    const auto found = self.size_of_.find(block);
    const size_t size = found->second;
    self.size_of_.erase(found);
    self.in_use_ -= size;
    if (size < kSmall) {
      std::free(block);
    } else {
      self.free_[size].push_back(block);
      self.cached_ += size;
    }
  }

  std::mutex mutex_;
  std::unordered_map<size_t, std::vector<void*>> free_;
  std::unordered_map<void*, size_t> size_of_;
  size_t in_use_ = 0, peak_ = 0, cached_ = 0, n_allocations_ = 0;
};

}  // namespace

void install_caching_allocator() { c10::SetCPUAllocator(&CachingAllocator::instance(), /*priority=*/100); }
AllocatorStats allocator_stats() { return CachingAllocator::instance().stats(); }
void reset_allocator_peak() { CachingAllocator::instance().reset_peak(); }
void release_cached_memory() { CachingAllocator::instance().release(); }

}  // namespace temper
