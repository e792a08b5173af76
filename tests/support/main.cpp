#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "tensor/allocator.h"

int main(int argc, char** argv) {
  // Tests often share the machine with builds: waiting OpenMP threads must sleep, not spin.  The library reads its
  // variables when it is loaded, so the program starts once more.
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) {
    ::setenv("OMP_WAIT_POLICY", "passive", 1);
    ::execv("/proc/self/exe", argv);
  }
  temper::install_caching_allocator();
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
