#include "base/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

#include "base/memory_reserve.h"

namespace temper {
namespace {

std::atomic<int> requests{0};
std::atomic<bool> quiet{false}, terminated{false};

void on_signal(int number) {
  if (number == SIGTERM) terminated = true;
  if (requests.fetch_add(1) >= 1) _exit(kInterruptedExitCode);
  if (quiet) return;
  constexpr char kMessage[] = "\n[temper] stopping cleanly; press Ctrl-C again to end at once\n";
  [[maybe_unused]] const auto n = ::write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
}

}  // namespace

void install_interrupt_handler() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

bool interrupt_requested() { return requests.load() > 0; }

bool termination_requested() { return terminated.load(); }

void check_interrupt() {
  if (interrupt_requested()) throw Interrupted{};
  check_memory();
}

void clear_interrupt() { requests = 0; }

void quiet_interrupts() { quiet = true; }

}  // namespace temper
