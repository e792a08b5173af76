#pragma once
// Loops of nothing but multiply-adds on registers: the rate that no product of one thread can exceed.

#include "kernels/cpu/isa/function.h"

namespace temper {

/// Runs `repeats` rounds; flops: how many they were (2 for a multiply-add).
TEMPER_ISA_FUNCTION(multiply_floats, int64_t repeats, double& flops)
/// The same with products of bf16 pairs; flops = 0 where the instruction set has none.
TEMPER_ISA_FUNCTION(multiply_pairs, int64_t repeats, double& flops)

}  // namespace temper
