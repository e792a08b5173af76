#pragma once
// What the sources of this folder may include: they are compiled once for each instruction set (see ../isa.h).

#include <cstdint>

#ifndef TEMPER_ISA
#define TEMPER_ISA plain
#define TEMPER_ISA_BYTES 16
#endif
#define TEMPER_ISA_JOIN2(a, b) a##b
#define TEMPER_ISA_JOIN(a, b) TEMPER_ISA_JOIN2(a, b)
#define TEMPER_ISA_NAMESPACE TEMPER_ISA_JOIN(cpu_, TEMPER_ISA)

namespace temper {

enum class Isa { kPlain, kAvx2, kAvx512, kAvx512Bf16 };

/// The one in use (../isa.h).
Isa isa();

/// Type of the elements behind a `const void*` in the arguments of a kernel; sums are float, for kDouble double.
enum class Element { kFloat, kBFloat16, kDouble };

#if defined(__x86_64__) && !defined(TEMPER_WITHOUT_AVX512)   // layer.cmake
#define TEMPER_ISA_FUNCTION(name, ...)                                                            \
  namespace cpu_plain { void name(__VA_ARGS__); } namespace cpu_avx2 { void name(__VA_ARGS__); }   \
  namespace cpu_avx512 { void name(__VA_ARGS__); } namespace cpu_avx512bf16 { void name(__VA_ARGS__); }
#define TEMPER_ISA_PICK(name)                                                                                                                \
  (::temper::isa() == ::temper::Isa::kAvx512Bf16 ? ::temper::cpu_avx512bf16::name : ::temper::isa() == ::temper::Isa::kAvx512 ? ::temper::cpu_avx512::name \
   : ::temper::isa() == ::temper::Isa::kAvx2 ? ::temper::cpu_avx2::name : ::temper::cpu_plain::name)
#elif defined(__x86_64__)
#define TEMPER_ISA_FUNCTION(name, ...) \
  namespace cpu_plain { void name(__VA_ARGS__); } namespace cpu_avx2 { void name(__VA_ARGS__); }
#define TEMPER_ISA_PICK(name) \
  (::temper::isa() == ::temper::Isa::kAvx2 ? ::temper::cpu_avx2::name : ::temper::cpu_plain::name)
#else
#define TEMPER_ISA_FUNCTION(name, ...) namespace cpu_plain { void name(__VA_ARGS__); }
#define TEMPER_ISA_PICK(name) (::temper::cpu_plain::name)
#endif

}  // namespace temper
