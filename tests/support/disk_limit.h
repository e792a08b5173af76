#pragma once

#include <sys/resource.h>

#include <csignal>

namespace temper::test {

/// While it lives, this process may write no file beyond `bytes`: writes are cut there and then fail, as on a full disk.
class DiskLimit {
 public:
  explicit DiskLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~DiskLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  DiskLimit(const DiskLimit&) = delete;
  DiskLimit& operator=(const DiskLimit&) = delete;

 private:
  rlimit before_{};
};

}  // namespace temper::test
