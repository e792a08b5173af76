#include "train/run_record.h"

#include <ATen/Parallel.h>
#include <fcntl.h>
#include <fmt/chrono.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <sstream>

#include "base/json_checks.h"
#include "base/log.h"
#include "base/threads.h"
#include "base/version.h"
#include "base/whole_file.h"
#include "kernels/cpu/isa.h"

namespace temper {
namespace {

int open_for_appending(const fs::path& path) {
  std::error_code error;
  if (fs::is_fifo(path, error))   // opening it would wait for a reader
    throw Error({.kind = ErrorKind::kResource, .what = "this is a pipe, and lines of a run's record are appended to it", .where = path.string(), .fix = "remove it, or give this run another run_folder"});
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) throw_system_error("opening for writing", path, errno);
  return fd;
}

// One write call for a line: a kill leaves whole lines, or one broken line at the very end.  A full disk leaves whole lines.
void append_line(int fd, const fs::path& path, const Json& line) {
  const std::string text = line.dump() + "\n";
  const off_t before = ::lseek(fd, 0, SEEK_END);
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int reason = errno;
      [[maybe_unused]] const int cut = done > 0 ? ::ftruncate(fd, before) : 0;
      throw_system_error("writing", path, reason);
    }
    done += static_cast<size_t>(n);
  }
}

// Cuts off what a kill left of a line.
void drop_broken_line(int fd, const fs::path& path) {
  if (!fs::is_regular_file(path)) return;
  const std::string text = read_file(path);
  const size_t whole = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
  if (whole < text.size() && ::ftruncate(fd, static_cast<off_t>(whole)) != 0) throw_system_error("writing", path, errno);
}

std::string utc_now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

}  // namespace

RunRecord::RunRecord(const fs::path& folder) : folder_(folder) {
  make_writable_folder(folder);
  const fs::path lock_path = folder / "run.lock";
  lock_ = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) throw_system_error("opening for writing", lock_path, errno);
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock_);
    throw Error({.kind = ErrorKind::kResource, .what = "another process is training in this run folder", .where = folder.string(),
                 .fix = "wait for it, or give this run another run_folder"});
  }
  events_ = open_for_appending(folder / "events.jsonl");
  drop_broken_line(events_, folder / "events.jsonl");
}

RunRecord::~RunRecord() {
  for (const int fd : {lock_, metrics_, events_})
    if (fd >= 0) ::close(fd);
}

std::optional<std::string> RunRecord::earlier_recipe() const {
  const fs::path path = folder_ / "resolved.toml";
  if (!fs::exists(path)) return std::nullopt;
  return read_small_file(path, ErrorKind::kConfig);
}

void RunRecord::write_recipe(const std::string& toml) { write_file_atomic(folder_ / "resolved.toml", toml); }

Json RunRecord::earlier_environment() const {
  const fs::path path = folder_ / "environment.json";
  const Json found = fs::exists(path) ? try_parse_json(read_small_file(path)).value_or(Json()) : Json();
  return found.is_object() ? found : Json();
}

void RunRecord::write_environment(Json environment, int64_t step) {
  const fs::path path = folder_ / "environment.json";
  Json earlier = Json::array();
  if (fs::exists(path)) {
    // A damaged file is kept as it is, as text.
    const std::string text = read_small_file(path);
    Json before = try_parse_json(text).value_or(Json());
    if (!before.is_object()) before = Json{{"damaged", text}};
    if (before.contains("earlier") && before["earlier"].is_array()) earlier = std::move(before["earlier"]);
    before.erase("earlier");
    earlier.push_back(std::move(before));
  }
  environment["time"] = utc_now();
  environment["from_step"] = step;
  environment["earlier"] = std::move(earlier);
  write_file_atomic(path, environment.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

MetricsCheck RunRecord::start_at(int64_t step) {
  const fs::path path = folder_ / "metrics.jsonl", events = folder_ / "events.jsonl";
  const std::string text = fs::exists(path) ? read_file(path) : "";
  MetricsCheck check = check_metrics(text, step, evaluations_in_events(read_file(events), step));
  if (step < 0) check = {};
  if (check.kept != text) write_file_atomic(path, check.kept);
  metrics_ = open_for_appending(path);
  board_ = std::make_unique<EventFile>(folder_, step + 1);
  return check;
}

bool RunRecord::has_metric(int64_t step, const std::string& name) const {
  std::istringstream lines(read_file(folder_ / "metrics.jsonl"));
  for (std::string text; std::getline(lines, text);) {
    const Json line = try_parse_json(text).value_or(Json());
    if (line.is_object() && line.value("step", Json()) == Json(step) && line.contains(name)) return true;
  }
  return false;
}

void RunRecord::metrics(int64_t step, const std::vector<Scalar>& values) {
  Json line = {{"step", step}};
  for (const auto& [name, value] : values) line[name] = std::isfinite(value) ? Json(value) : Json(nullptr);
  append_line(metrics_, folder_ / "metrics.jsonl", line);
  board_->write(step, values);
}

void RunRecord::event(const std::string& kind, int64_t step, const Json& details) {
  Json line = {{"time", utc_now()}, {"event", kind}, {"step", step}};
  line.update(details);
  append_line(events_, folder_ / "events.jsonl", line);
}

void RunRecord::flush() {
  if (::fsync(metrics_) != 0) throw_system_error("flushing", folder_ / "metrics.jsonl", errno);
}

Json describe_environment() {
  utsname host{};
  ::uname(&host);
  const char* const kernels = std::getenv("TEMPER_KERNELS");   // kernels/registry.cpp
  const int64_t pages = ::sysconf(_SC_PHYS_PAGES), page_size = ::sysconf(_SC_PAGESIZE);
  return {{"temper", kProgramVersion},
          {"commit", program_commit()},
          {"torch", TORCH_VERSION},
          {"device", "cpu"},
          {"isa", isa_name(isa())},
          {"threads", at::get_num_threads()},
          {"kernels", kernels && std::string_view(kernels) == "reference" ? "reference" : "fast"},
          {"cores", available_threads()},
          {"memory_bytes", pages * page_size},
          {"host", host.nodename},
          {"system", fmt::format("{} {} {}", host.sysname, host.release, host.machine)}};
}

}  // namespace temper
