#include "kernels/cpu/isa/multiplier_limit.h"

#include "kernels/cpu/isa/micro.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

constexpr int kSums = 12;   // independent ones: more than latency times rate, fewer than the registers

#if defined(__AVX512F__)
#define TEMPER_IN_REGISTER(v) asm volatile("" : "+v"(v))
#elif defined(__x86_64__)
#define TEMPER_IN_REGISTER(v) asm volatile("" : "+x"(v))
#else
#define TEMPER_IN_REGISTER(v) asm volatile("" : "+w"(v))
#endif

// Without the barriers the compiler would fold the rounds.
template <class F>
double run(int64_t repeats, const F& add) {
  Vec<float> sum[kSums];
#pragma GCC unroll 12
  for (int i = 0; i < kSums; ++i) sum[i] = Vec<float>{} + static_cast<float>(i);
  for (int64_t round = 0; round < repeats; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) add(sum[i]);
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) TEMPER_IN_REGISTER(sum[i]);
  }
  return 2.0 * kSums * kLanes<float> * static_cast<double>(repeats);
}

}  // namespace

void multiply_floats(int64_t repeats, double& flops) {
  Vec<float> factor = broadcast(0.5f), term = broadcast(1.0f);
  TEMPER_IN_REGISTER(factor);
  TEMPER_IN_REGISTER(term);
  flops = run(repeats, [&](Vec<float>& sum) { sum = sum * factor + term; });
}

void multiply_pairs(int64_t repeats, double& flops) {
  flops = 0;
#if defined(__AVX512BF16__)
  Vec<float> factors = __builtin_bit_cast(Vec<float>, FullLanes{} + 0x3f003f00u);   // pairs of 0.5
  TEMPER_IN_REGISTER(factors);
  flops = 2 * run(repeats, [&](Vec<float>& sum) {
    const auto pairs = reinterpret_cast<__m512bh>(factors);
    sum = reinterpret_cast<Vec<float>>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), pairs, pairs));
  });
#endif
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
