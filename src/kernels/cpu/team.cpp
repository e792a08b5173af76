#include "kernels/team.h"

#include <ATen/Parallel.h>

#include <thread>
#include <utility>

namespace temper {
namespace {

constexpr int kSpins = 2000;   // about as many microseconds / 20; then other programs may have the core

thread_local Team* team_now = nullptr;
thread_local bool inside_part = false;

constexpr uint64_t kTaken = 0xffff;
int64_t parts_of(uint64_t state) { return static_cast<int64_t>(state >> 16 & kTaken); }
int64_t taken_of(uint64_t state) { return static_cast<int64_t>(state & kTaken); }

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Waits in a loop: first alone, then letting others have the core between two looks.
class Wait {
 public:
  void once() {
    if (++n_ < kSpins) pause();
    else std::this_thread::yield();
  }

 private:
  int n_ = 0;
};

class InsidePart {
 public:
  InsidePart() : previous_(std::exchange(inside_part, true)) {}
  ~InsidePart() { inside_part = previous_; }
  InsidePart(const InsidePart&) = delete;
  InsidePart& operator=(const InsidePart&) = delete;

 private:
  bool previous_;
};

}  // namespace

Team* Team::current() { return inside_part ? nullptr : team_now; }

int64_t Team::most_parts() {
  if (inside_part) return 1;
  if (team_now) return team_now->size_;
  return at::in_parallel_region() ? 1 : at::get_num_threads();
}

void Team::stand_by(const std::function<void()>& body) {
  const int64_t n = most_parts();
  if (team_now || n == 1) return body();
  Team team(n);
  // A part for each thread.  Should fewer threads come, the first one does all the work.
  at::parallel_for(0, n, 1, [&](int64_t first, int64_t last) {
    for (int64_t member = first; member < last; ++member) {
      if (member > 0) {
        team.serve();
        continue;
      }
      team_now = &team;
      struct Leave {
        Team& team;
        ~Leave() { team_now = nullptr, team.over_.store(true, std::memory_order_release); }
      } leave{team};
      body();
    }
  });
}

// Takes parts of this job as long as there are some.
void Team::work_off(uint64_t state) {
  const InsidePart inside;
  while (taken_of(state) < parts_of(state)) {
    const std::function<void(int64_t)>* const body = body_.load(std::memory_order_relaxed);
    if (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) continue;   // `state` is the new one
    try {
      (*body)(taken_of(state));
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
    n_done_.fetch_add(1, std::memory_order_acq_rel);
    ++state;
  }
}

void Team::serve() {
  Wait wait;
  while (!over_.load(std::memory_order_acquire)) {
    const uint64_t state = state_.load(std::memory_order_acquire);
    if (taken_of(state) < parts_of(state)) {
      work_off(state);
      wait = {};
    } else {
      wait.once();
    }
  }
}

void Team::share(int64_t n, const std::function<void(int64_t)>& body) {
  const uint64_t job = (state_.load(std::memory_order_relaxed) >> 32) + 1;
  body_.store(&body, std::memory_order_relaxed);
  n_done_.store(0, std::memory_order_relaxed);
  const uint64_t state = job << 32 | static_cast<uint64_t>(n) << 16;
  state_.store(state, std::memory_order_release);
  work_off(state);
  for (Wait wait; n_done_.load(std::memory_order_acquire) < n;) wait.once();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void Team::run(int64_t n, const std::function<void(int64_t)>& body) {
  if (n == 1) {
    body(0);
  } else if (Team* const team = current()) {
    team->share(n, body);
  } else {
    at::parallel_for(0, n, 1, [&](int64_t first, int64_t last) {
      for (int64_t part = first; part < last; ++part) body(part);
    });
  }
}

}  // namespace temper
