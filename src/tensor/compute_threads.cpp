#include "tensor/compute_threads.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "base/error.h"
#include "base/threads.h"

namespace temper {

void start_compute_threads() {
  available_threads();   // a wrong TEMPER_THREADS is known at once
  const int n = at::get_num_threads();
  if (n > kMostThreads)
    throw Error({.kind = ErrorKind::kConfig, .what = fmt::format("{} threads are asked for, at most {} are used", n, kMostThreads), .where = "environment variable OMP_NUM_THREADS",
                 .fix = "set it to the number of cores, or unset it"});
  if (n == 1) return;
  { const ThreadPool as_many(n - 1); }   // throws where the system gives fewer; libgomp would print a line and exit
  at::parallel_for(0, n, 1, [](int64_t, int64_t) {});
}

}  // namespace temper
