#pragma once
// Ctrl-C and SIGTERM: the first asks for a clean stop, the second ends the process at once.

namespace temper {

/// The exit code after a clean stop on Ctrl-C.
inline constexpr int kInterruptedExitCode = 130;

/// Thrown by check_interrupt(); app/main.cpp turns it into exit code 130.
struct Interrupted {};

/// Also takes SIGPIPE away: a write to a closed pipe fails with EPIPE, so that `temper train 2>&1 | head` does not end a run.
void install_interrupt_handler();
bool interrupt_requested();
/// The request was SIGTERM: the whole program is meant, not the answer that is being written.
bool termination_requested();
/// Throws Interrupted if a stop was asked for, std::bad_alloc if memory is short (base/memory_reserve.h).  Call it where nothing is half done.
void check_interrupt();
/// The request was met (an answer was cut short) and the program goes on.
void clear_interrupt();
/// From now on a request is not announced on stderr.
void quiet_interrupts();

}  // namespace temper
