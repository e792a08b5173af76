#pragma once
// One pool of threads for the work outside libtorch (tokenising, reading, hashing).

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <queue>
#include <system_error>
#include <thread>
#include <vector>

namespace temper {

/// Runs jobs on a fixed number of threads.  Methods from any thread.
class ThreadPool {
 public:
  /// Error{kResource} if the system gives fewer threads.
  explicit ThreadPool(int n_threads);
  ~ThreadPool();  // finishes the queued jobs

  /// Calls body(i) for i in [0, n), returns when all are done; the first exception is rethrown here.
  void parallel_for(int64_t n, const std::function<void(int64_t)>& body);
  int size() const { return static_cast<int>(threads_.size()); }

 private:
  void work();
  void stop();

  std::vector<std::thread> threads_;
  std::queue<std::function<void()>> jobs_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
};

inline constexpr int kMostThreads = 1024;

/// Cores this process may use: TEMPER_THREADS if set, else the affinity mask.
/// Error{kConfig} if TEMPER_THREADS is not a whole number from 1 to kMostThreads.
int available_threads();

/// The error for a thread that could not be started.
[[noreturn]] void throw_no_thread(const std::system_error& reason);

}  // namespace temper
