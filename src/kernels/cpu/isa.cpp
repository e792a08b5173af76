#include "kernels/cpu/isa.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/error.h"

namespace temper {
namespace {

constexpr Isa kAllIsas[] = {Isa::kPlain, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16};   // better ones last

bool cpu_has(Isa isa) {
#if defined(__x86_64__)
  switch (isa) {
    case Isa::kPlain: return true;
    case Isa::kAvx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#if defined(TEMPER_WITHOUT_AVX512)
    case Isa::kAvx512:
    case Isa::kAvx512Bf16: return false;   // not compiled
#else
    case Isa::kAvx512:
      return cpu_has(Isa::kAvx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    case Isa::kAvx512Bf16: return cpu_has(Isa::kAvx512) && __builtin_cpu_supports("avx512bf16");
#endif
  }
#endif
  return isa == Isa::kPlain;
}

Isa& current_isa() {
  static Isa current = choose_isa(std::getenv("TEMPER_ISA"));
  return current;
}

}  // namespace

Isa choose_isa(const char* wish) {
  const Isa best = available_isas().back();
  if (wish == nullptr || *wish == 0) return best;
  for (const Isa isa : kAllIsas) {
    if (std::string_view(wish) != isa_name(isa)) continue;
    if (cpu_has(isa)) return isa;
    throw Error({.kind = ErrorKind::kConfig,
                 .what = fmt::format("this CPU, or this build of the program, has no {}", wish),
                 .where = "environment variable TEMPER_ISA",
                 .fix = fmt::format("unset it or set it to {}", isa_name(best))});
  }
  throw Error({.kind = ErrorKind::kConfig,
               .what = fmt::format("\"{}\" is not an instruction set", wish),
               .where = "environment variable TEMPER_ISA",
               .fix = "use plain, avx2, avx512 or avx512bf16"});
}

Isa isa() { return current_isa(); }

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::kPlain: return "plain";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvx512: return "avx512";
    case Isa::kAvx512Bf16: return "avx512bf16";
  }
  return "plain";
}

std::vector<Isa> available_isas() {
  std::vector<Isa> found;
  for (const Isa isa : kAllIsas)
    if (cpu_has(isa)) found.push_back(isa);
  return found;
}

ForceIsa::ForceIsa(Isa isa) : previous_(current_isa()) { current_isa() = isa; }
ForceIsa::~ForceIsa() { current_isa() = previous_; }

}  // namespace temper
