#include "base/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

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

int64_t available_bytes() {
  int64_t available = std::numeric_limits<int64_t>::max();
  std::ifstream meminfo("/proc/meminfo");   // lines such as "MemAvailable:   123456 kB"
  for (std::string name, rest; meminfo >> name; std::getline(meminfo, rest)) {
    int64_t kib = 0;
    if (name != "MemAvailable:") continue;
    if (meminfo >> kib) available = kib * 1024;
    break;
  }
  std::ifstream most("/sys/fs/cgroup/memory.max"), now("/sys/fs/cgroup/memory.current");
  int64_t limit = 0, used = 0;
  if (most >> limit && now >> used) available = std::min(available, std::max<int64_t>(limit - used, 0));   // "max" is no number: no limit
  return available;
}

int64_t obtainable_bytes() {
  const int64_t available = available_bytes(), held = resident_bytes();
  return available > std::numeric_limits<int64_t>::max() - held ? available : available + held;
}

int64_t last_cache_bytes() {
  int64_t bytes = int64_t{32} << 20;
  for (int index = 0;; ++index) {   // from the nearest to the last
    std::ifstream size("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/size");   // such as "32768K"
    int64_t number = 0;
    char unit = 0;
    if (!(size >> number >> unit) || number <= 0) return bytes;
    bytes = number << (unit == 'M' ? 20 : 10);
  }
}

}  // namespace temper
