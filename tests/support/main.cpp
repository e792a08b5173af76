#include <gtest/gtest.h>

#include "tensor/allocator.h"

int main(int argc, char** argv) {
  temper::install_caching_allocator();
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
