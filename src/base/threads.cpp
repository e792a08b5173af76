#include "base/threads.h"

#include <sched.h>

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>

#include "base/error.h"

namespace temper {

ThreadPool::ThreadPool(int n_threads) {
  try {
    threads_.reserve(static_cast<size_t>(std::max(1, n_threads)));
    for (int i = 0; i < std::max(1, n_threads); ++i) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error& reason) {
    stop();
    throw_no_thread(reason);
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
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
  int64_t n_started = 0;
  try {
    const std::lock_guard lock(mutex_);
    for (; n_started < n_jobs; ++n_started) jobs_.push(run);
  } catch (...) {   // no memory: those that started end first, they use `body`
    const std::lock_guard lock(shared->mutex);
    shared->n_running -= n_jobs - n_started;
    shared->first_error = std::current_exception();
    shared->next = n;
  }
  wake_.notify_all();
  std::unique_lock lock(shared->mutex);
  shared->done.wait(lock, [&] { return shared->n_running == 0; });
  if (shared->first_error) std::rethrow_exception(shared->first_error);
}

void throw_no_thread(const std::system_error& reason) {
  throw Error({.kind = ErrorKind::kResource, .what = fmt::format("a thread could not be started: {}", reason.code().message()), .where = "",
               .fix = "raise the limits on processes and memory (ulimit -u, ulimit -v), or set TEMPER_THREADS and OMP_NUM_THREADS to fewer threads"});
}

int available_threads() {
  if (const char* wish = std::getenv("TEMPER_THREADS"); wish && *wish) {
    int n = 0;
    const char* const end = wish + std::strlen(wish);
    if (const auto [at, error] = std::from_chars(wish, end, n); error != std::errc() || at != end || n < 1 || n > kMostThreads)
      throw Error({.kind = ErrorKind::kConfig, .what = fmt::format("TEMPER_THREADS = \"{:.40}\" is not a whole number from 1 to {}", wish, kMostThreads), .where = "environment variable TEMPER_THREADS",
                   .fix = "set it to the number of threads, or unset it to use every core"});
    return n;
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace temper
