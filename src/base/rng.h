#pragma once
// Counter-based random numbers: a value depends on (seed, stream, step, index) only, never on who asked before.
// So results do not depend on the number of ranks or threads, and there is no generator state to save.

#include <array>
#include <cstdint>
#include <string_view>

namespace temper {

/// Philox 4x32 with 10 rounds (Salmon et al., SC'11).  Golden values: tests/base/rng_test.cpp.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// The random numbers of one purpose.  Const methods from any thread.
class RandomStream {
 public:
  /// `name` keeps purposes apart ("data.shuffle", "sampler"); equal names and seeds give equal numbers.
  RandomStream(uint64_t seed, std::string_view name, uint64_t step = 0);

  uint64_t bits(uint64_t index) const;              // 64 uniform bits
  double uniform(uint64_t index) const;             // [0, 1), 53 bits
  uint64_t below(uint64_t index, uint64_t n) const;  // [0, n), n > 0; bias below 2^-64 * n
  double normal(uint64_t index) const;              // mean 0, variance 1 (Box-Muller)

 private:
  std::array<uint32_t, 2> key_;
  uint32_t step_low_, step_high_;
};

}  // namespace temper
