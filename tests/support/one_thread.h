#pragma once

#include <ATen/Parallel.h>

namespace temper::test {

/// While it lives, kernels use one thread: for tests of many tiny operations, which wait for threads more than they compute.
class OneThread {
 public:
  OneThread() : previous_(at::get_num_threads()) { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(previous_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int previous_;
};

}  // namespace temper::test
