#include "base/memory_reserve.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace temper {
namespace {

constexpr size_t kReserveBytes = size_t{16} << 20, kSmallBytes = size_t{64} << 10, kAlignment = alignof(std::max_align_t);
std::atomic<char*> reserve{nullptr};
std::atomic<size_t> n_taken{0};   // bytes of it, which are never given back: the program is ending

void* take(size_t n_bytes) {
  char* const begin = reserve;
  if (!begin || n_bytes > kSmallBytes) return nullptr;
  const size_t rounded = (n_bytes + kAlignment) / kAlignment * kAlignment, at = n_taken.fetch_add(rounded);
  return at + rounded <= kReserveBytes ? begin + at : nullptr;
}

bool is_of_reserve(const void* block) {
  const char* const begin = reserve;
  return begin && block >= begin && block < begin + kReserveBytes;
}

}  // namespace

void install_memory_reserve() { reserve = static_cast<char*>(std::malloc(kReserveBytes)); }

void check_memory() {
  if (n_taken > 0) throw std::bad_alloc();
}

}  // namespace temper

// As the standard library's own, but for the reserve.
void* operator new(size_t n_bytes) {
  if (void* block = std::malloc(n_bytes > 0 ? n_bytes : 1)) return block;
  if (void* block = temper::take(n_bytes)) return block;
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept {
  if (!temper::is_of_reserve(block)) std::free(block);
}
void operator delete(void* block, size_t) noexcept { operator delete(block); }
