#include "eval/text/python_random.h"

#include <bit>
#include <cmath>

namespace temper::text {

// init_by_array of the reference implementation with the one-word key {seed}.
PythonRandom::PythonRandom(uint32_t seed) {
  state_[0] = 19650218u;
  for (int i = 1; i < kSize; ++i) state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + static_cast<uint32_t>(i);
  int i = 1;
  const auto advance = [&] {
    if (++i < kSize) return;
    state_[0] = state_[kSize - 1];
    i = 1;
  };
  for (int k = 0; k < kSize; ++k) {
    state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1664525u)) + seed;
    advance();
  }
  for (int k = 0; k < kSize - 1; ++k) {
    state_[i] = (state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * 1566083941u)) - static_cast<uint32_t>(i);
    advance();
  }
  state_[0] = 0x80000000u;
}

uint32_t PythonRandom::next() {
  if (position_ == kSize) {
    constexpr int kShift = 397;
    for (int k = 0; k < kSize; ++k) {
      const uint32_t y = (state_[k] & 0x80000000u) | (state_[(k + 1) % kSize] & 0x7FFFFFFFu);
      state_[k] = state_[(k + kShift) % kSize] ^ (y >> 1) ^ ((y & 1) ? 0x9908B0DFu : 0u);
    }
    position_ = 0;
  }
  uint32_t y = state_[position_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9D2C5680u;
  y ^= (y << 15) & 0xEFC60000u;
  return y ^ (y >> 18);
}

uint32_t PythonRandom::bits(int n) { return next() >> (32 - n); }

double PythonRandom::uniform() {
  const uint32_t a = next() >> 5, b = next() >> 6;
  return (a * 67108864.0 + b) * (1.0 / 9007199254740992.0);
}

double PythonRandom::gauss(double mean, double sigma) {
  double z;
  if (spare_) {
    z = *spare_;
    spare_.reset();
  } else {
    const double angle = uniform() * (2.0 * M_PI);
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    z = std::cos(angle) * radius;
    spare_ = std::sin(angle) * radius;
  }
  return mean + z * sigma;
}

uint32_t PythonRandom::below(uint32_t n) {
  const int width = std::bit_width(n);
  uint32_t drawn = bits(width);
  while (drawn >= n) drawn = bits(width);
  return drawn;
}

}  // namespace temper::text
