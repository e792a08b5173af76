#pragma once
// Python's random.Random: the Mersenne Twister with its seeding and the draws that langdetect makes.

#include <array>
#include <cstdint>
#include <optional>

namespace temper::text {

/// Golden values: tests/eval/python_random_test.cpp (CPython 3.11).
class PythonRandom {
 public:
  explicit PythonRandom(uint32_t seed);      // random.seed(seed)

  uint32_t bits(int n);                      // getrandbits(n), n in 1..32
  double uniform();                          // random(): [0, 1), 53 bits
  double gauss(double mean, double sigma);   // gauss(): pairs, the second one is kept
  uint32_t below(uint32_t n);                // index drawn by choice() from n elements

 private:
  uint32_t next();

  static constexpr int kSize = 624;
  std::array<uint32_t, kSize> state_;
  int position_ = kSize;
  std::optional<double> spare_;
};

}  // namespace temper::text
