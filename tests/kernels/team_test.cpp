#include "kernels/team.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

// While it lives, libtorch has so many threads.
class Threads {
 public:
  explicit Threads(int n) : previous_(at::get_num_threads()) { at::set_num_threads(n); }
  ~Threads() { at::set_num_threads(previous_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int previous_;
};

TEST(Team, EveryPartOfEveryJobIsDoneOnceBeforeTheCallReturns) {
  const Threads threads(3);
  Team::stand_by([] {
    EXPECT_EQ(Team::most_parts(), 3);
    std::vector<int64_t> times(3);
    for (int64_t job = 1; job <= 20000; ++job) {
      Team::run(3, [&](int64_t part) { ++times[static_cast<size_t>(part)]; });
      ASSERT_EQ(times, std::vector<int64_t>(3, job));
    }
  });
}

TEST(Team, AJobInsideAPartStaysOnItsThread) {
  const Threads threads(2);
  Team::stand_by([] {
    std::atomic<int64_t> sum{0};
    Team::run(2, [&](int64_t) {
      EXPECT_EQ(Team::most_parts(), 1);
      Team::stand_by([&] { Team::run(1, [&](int64_t part) { sum += part + 1; }); });
    });
    EXPECT_EQ(sum, 2);
  });
}

TEST(Team, ErrorsOfPartsAndOfTheBodyReachTheCaller) {
  const Threads threads(2);
  EXPECT_THROW(Team::stand_by([] { throw std::runtime_error("body"); }), std::runtime_error);
  Team::stand_by([] {
    for (int64_t bad = 0; bad < 2; ++bad)
      EXPECT_THROW(Team::run(2, [&](int64_t part) { if (part == bad) throw std::runtime_error("part"); }), std::runtime_error);
    std::atomic<int64_t> n{0};
    Team::run(2, [&](int64_t) { ++n; });
    EXPECT_EQ(n, 2);   // works on after an error
  });
}

TEST(Team, WithoutOneTheThreadsOfLibtorchDoTheParts) {
  const Threads threads(2);
  EXPECT_EQ(Team::current(), nullptr);
  EXPECT_EQ(Team::most_parts(), 2);
  std::atomic<int64_t> sum{0};
  Team::run(5, [&](int64_t part) { sum += part; });
  EXPECT_EQ(sum, 10);
}

TEST(ParallelPieces, EveryRowIsDoneOnce) {
  for (const int n_threads : {1, 2, 3, 5}) {
    const Threads threads(n_threads);
    for (const int64_t n : {0, 1, 63, 64, 129, 1000, 2048}) {
      std::vector<std::atomic<int>> times(static_cast<size_t>(n));
      const int64_t n_workers = count_parts(n, 1);
      parallel_pieces(n, 1, [&](int64_t worker, int64_t begin, int64_t end) {
        EXPECT_LT(worker, n_workers);
        for (int64_t row = begin; row < end; ++row) ++times[static_cast<size_t>(row)];
      });
      for (const auto& count : times) ASSERT_EQ(count, 1) << n_threads << " threads, " << n << " rows";
    }
  }
}

TEST(ParallelPieces, OthersDoTheRowsOfAThreadThatIsHeldUp) {
  const Threads threads(2);
  constexpr int64_t n = 2048;
  std::atomic<int64_t> done{0};
  Team::stand_by([&] {
    parallel_pieces(n, 1, [&](int64_t, int64_t begin, int64_t end) {
      const auto start = std::chrono::steady_clock::now();
      // The thread of the first rows goes on only after all others are done.
      while (begin == 0 && done < n - end && std::chrono::steady_clock::now() - start < std::chrono::seconds(20)) std::this_thread::yield();
      if (begin == 0) {
        EXPECT_EQ(done, n - end);
      }
      done += end - begin;
    });
  });
  EXPECT_EQ(done, n);
}

}  // namespace
}  // namespace temper
