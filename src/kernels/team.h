#pragma once
// Threads that stay together for many small operations: between two operations they wait in a loop, and start on the next one within
// a fraction of a microsecond.  Waking libtorch's threads costs more than a small operation takes.

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>

namespace temper {

/// Threads: run() and parts() from the thread that made it.
class Team {
 public:
  /// Calls body on the calling thread, while the other threads of libtorch stand by for its kernels' parts.  An inner call, or one inside a
  /// parallel region, or with one thread, only calls body.
  static void stand_by(const std::function<void()>& body);

  /// The team of the calling thread, null outside stand_by and inside a part.
  static Team* current();
  /// Parts that may run at once on the calling thread's behalf: of its team, else libtorch's threads; 1 inside a part or a parallel region.
  static int64_t most_parts();
  /// Calls body(part) for each part in [0, n), on some thread each; rethrows the first exception.
  static void run(int64_t n, const std::function<void(int64_t)>& body);

 private:
  explicit Team(int64_t size) : size_(size) {}
  void serve();
  void work_off(uint64_t state);
  void share(int64_t n, const std::function<void(int64_t)>& body);

  // One job at a time.  state_ = number of the job (32 bits), its parts (16), parts already taken (16): a part is taken by one exchange, which
  // fails when the job is over.
  const int64_t size_;
  alignas(64) std::atomic<uint64_t> state_{0};
  std::atomic<const std::function<void(int64_t)>*> body_{nullptr};
  alignas(64) std::atomic<int64_t> n_done_{0};
  std::atomic<bool> over_{false};
  std::mutex mutex_;   // of error_
  std::exception_ptr error_;
};

}  // namespace temper
