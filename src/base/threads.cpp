#include "base/threads.h"

#include <sched.h>

#include <atomic>
#include <cstdlib>
#include <exception>
#include <memory>

namespace temper {

ThreadPool::ThreadPool(int n_threads) {
  for (int i = 0; i < std::max(1, n_threads); ++i) threads_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::work() {
  while (true) {
    std::function<void()> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop();
    }
    job();
  }
}

void ThreadPool::parallel_for(int64_t n, const std::function<void(int64_t)>& body) {
  if (n <= 0) return;
  struct Shared {
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::condition_variable done;
    int64_t n_running = 0;
    std::exception_ptr first_error;
  };
  const auto shared = std::make_shared<Shared>();
  const int64_t n_jobs = std::min<int64_t>(n, size());
  shared->n_running = n_jobs;
  const auto run = [shared, n, &body] {
    for (int64_t i; (i = shared->next++) < n;) {
      try {
        body(i);
      } catch (...) {
        const std::lock_guard lock(shared->mutex);
        if (!shared->first_error) shared->first_error = std::current_exception();
        shared->next = n;
      }
    }
    const std::lock_guard lock(shared->mutex);
    if (--shared->n_running == 0) shared->done.notify_all();
  };
  {
    const std::lock_guard lock(mutex_);
    for (int64_t i = 0; i < n_jobs; ++i) jobs_.push(run);
  }
  wake_.notify_all();
  std::unique_lock lock(shared->mutex);
  shared->done.wait(lock, [&] { return shared->n_running == 0; });
  if (shared->first_error) std::rethrow_exception(shared->first_error);
}

int available_threads() {
  if (const char* wish = std::getenv("TEMPER_THREADS"); wish && std::atoi(wish) > 0) return std::atoi(wish);
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace temper
