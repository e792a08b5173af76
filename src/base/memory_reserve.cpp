#include "base/memory_reserve.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace temper {
namespace {

constexpr size_t kReserveBytes = size_t{8} << 20;
std::atomic<void*> reserve{nullptr};

[[noreturn]] void out_of_memory() {
  std::free(reserve.exchange(nullptr));
  throw std::bad_alloc();
}

}  // namespace

void install_memory_reserve() {
  reserve = std::malloc(kReserveBytes);
  std::set_new_handler(&out_of_memory);
}

}  // namespace temper
