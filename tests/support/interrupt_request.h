#pragma once

#include <csignal>

#include "base/interrupt.h"

namespace temper::test {

/// While it lives, a first Ctrl-C has been pressed.
class InterruptRequest {
 public:
  InterruptRequest() {
    install_interrupt_handler();
    quiet_interrupts();
    std::raise(SIGINT);
  }
  ~InterruptRequest() { clear_interrupt(); }
  InterruptRequest(const InterruptRequest&) = delete;
  InterruptRequest& operator=(const InterruptRequest&) = delete;
};

}  // namespace temper::test
