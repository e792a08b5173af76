#include "train/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "base/log.h"

namespace temper {
namespace {

constexpr size_t kRateSteps = 20;   // steps whose mean time the rate is
constexpr int kBarCells = 24;

}  // namespace

std::string duration_text(double seconds) {
  const int64_t s = static_cast<int64_t>(seconds + 0.5);
  if (s >= 3600) return fmt::format("{}h {:02}m", s / 3600, s % 3600 / 60);
  if (s >= 60) return fmt::format("{}m {:02}s", s / 60, s % 60);
  return fmt::format("{}s", s);
}

Progress::Progress(int64_t first_step, int64_t total_steps, int64_t log_every)
    : total_steps_(total_steps), log_every_(log_every), terminal_(::isatty(STDERR_FILENO)) {
  recent_.push_back({Clock::now(), 0});
}

Progress::~Progress() {
  if (bar_shown_) std::fputc('\n', stderr);
}

void Progress::clear_bar() {
  if (bar_shown_) std::fputs("\r\033[K", stderr);
  bar_shown_ = false;
}

void Progress::step(int64_t step, double loss, double lr, int64_t n_tokens) {
  recent_.push_back({Clock::now(), n_tokens});
  if (recent_.size() > kRateSteps + 1) recent_.pop_front();
  int64_t tokens = 0;
  for (size_t i = 1; i < recent_.size(); ++i) tokens += recent_[i].n_tokens;
  const double seconds = std::chrono::duration<double>(recent_.back().at - recent_.front().at).count();
  const double rate = seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
  const double left = seconds / static_cast<double>(recent_.size() - 1) * static_cast<double>(total_steps_ - step);
  if (terminal_) {
    const int filled = static_cast<int>(kBarCells * step / total_steps_);
    std::fprintf(stderr, "\r\033[K[%s%s] %s", std::string(static_cast<size_t>(filled), '#').c_str(), std::string(static_cast<size_t>(kBarCells - filled), '.').c_str(),
                 fmt::format("{}/{}  loss {:.4f}  lr {:.2e}  {:.0f} tokens/s  {} left", step, total_steps_, loss, lr, rate, duration_text(left)).c_str());
    std::fflush(stderr);
    bar_shown_ = true;
  } else if (step % log_every_ == 0 || step == total_steps_) {
    log_info("train", "step {}/{} loss={:.4f} lr={:.3e} tokens_per_second={:.0f} left={}", step, total_steps_, loss, lr, rate, duration_text(left));
  }
}

void Progress::say(const std::string& sentence) {
  clear_bar();
  log_info("train", "{}", sentence);
}

}  // namespace temper
