#include "base/console.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iostream>

#include "base/output.h"
#include "base/utf8.h"

namespace temper {
namespace {

constexpr const char* kOutputName = "standard output";

bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7f && c < 0xa0); }
bool changes_lines_or_direction(char32_t c) { return (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069); }

}  // namespace

std::string printable(std::string_view text, std::string_view kept) {
  const auto plain = [](char c) { return c >= 0x20 && c < 0x7f; };
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    if (plain(text[at]) || kept.find(text[at]) != std::string_view::npos) {
      out += text[at++];
      continue;
    }
    const Utf8Char c = utf8_at(text, at);
    if (c.code == kInvalidUtf8 || c.code < 0x80) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[at]));
    else if (is_control(c.code) || changes_lines_or_direction(c.code)) out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c.code));
    else out += text.substr(at, c.length);
    at += c.length;
  }
  return out;
}

std::string shortened(std::string_view text, size_t most_bytes) {
  if (text.size() <= most_bytes) return std::string(text);
  const size_t front = complete_utf8_size(text.substr(0, most_bytes / 2));
  size_t back = text.size() - most_bytes / 2;
  while (back < text.size() && (static_cast<unsigned char>(text[back]) & 0xC0) == 0x80) ++back;   // not in the middle of a character
  return fmt::format("{} [... {} bytes left out ...] {}", text.substr(0, front), back - front, text.substr(back));
}

void write_output(std::string_view bytes) {
  finish_output();   // what was printed before comes first
  write_all(STDOUT_FILENO, bytes, kOutputName);
}

void print_text(std::string_view text) { write_output(printable(text, "\n\t")); }

void finish_output() {
  errno = 0;
  std::cout.flush();
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) || std::cout.bad();
  if (!failed) return;
  const int reason = errno;
  pollfd pipe{STDOUT_FILENO, POLLOUT, 0};
  if (reason == EPIPE || (::poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLERR))) throw ReaderGone{};
  throw_system_error("writing", kOutputName, reason != 0 ? reason : EIO);
}

void print_error(std::string_view text) {
  const std::string line = printable(text, "\n\t");
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void open_closed_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0) [[maybe_unused]] const int opened = ::open("/dev/null", O_RDWR);   // the lowest free number: this one
}

}  // namespace temper
