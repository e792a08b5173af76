// The main of every benchmark that has none of its own.

#include <benchmark/benchmark.h>

#include "tensor/allocator.h"

int main(int argc, char** argv) {
  temper::install_caching_allocator();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
