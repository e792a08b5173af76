#include "base/threads.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

#include "support/expect_error.h"

namespace temper {
namespace {

class Threads : public testing::Test {
 protected:
  void TearDown() override { ::unsetenv("TEMPER_THREADS"); }
};

TEST_F(Threads, TheVariableIsAWholeNumberOfABoundedSize) {
  ::setenv("TEMPER_THREADS", "3", 1);
  EXPECT_EQ(available_threads(), 3);
  ::setenv("TEMPER_THREADS", "", 1);
  EXPECT_GE(available_threads(), 1);
  for (const char* wish : {"0", "-1", "1000000", "3x", " 3", "99999999999999999999", "two"}) {
    ::setenv("TEMPER_THREADS", wish, 1);
    EXPECT_ERROR(available_threads(), ErrorKind::kConfig, "is not a whole number from 1 to 1024");
  }
}

void make_a_large_pool_within_400_mib() {
  rlimit limit;
  limit.rlim_cur = limit.rlim_max = 400 << 20;
  ::setrlimit(RLIMIT_AS, &limit);
  try {
    ThreadPool pool(kMostThreads);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s", error.what());
    std::_Exit(error.exit_code());
  }
}

// In a process of its own: the limit on addresses is for all of it.
TEST_F(Threads, ThatCannotBeStartedAreAResourceErrorAndThoseThatWereAreEnded) {
  EXPECT_EXIT(make_a_large_pool_within_400_mib(), testing::ExitedWithCode(6), "a thread could not be started: Resource temporarily unavailable");
}

TEST_F(Threads, ThePoolHandsTheFirstExceptionOver) {
  ThreadPool pool(3);
  EXPECT_THROW(pool.parallel_for(100, [](int64_t i) { if (i == 17) throw std::bad_alloc(); }), std::bad_alloc);
  int64_t sum = 0;
  pool.parallel_for(1, [&](int64_t) { sum = 5; });
  EXPECT_EQ(sum, 5);
}

}  // namespace
}  // namespace temper
