#include "base/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

namespace temper {

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t n_pages = 0, n_resident = 0;
  statm >> n_pages >> n_resident;
  return n_resident * static_cast<int64_t>(::sysconf(_SC_PAGESIZE));
}

int64_t peak_resident_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace temper
