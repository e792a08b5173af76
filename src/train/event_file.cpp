#include "train/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace temper {
namespace {

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) ? (c >> 1) ^ 0x82f63b78u : c >> 1;   // the reflected polynomial
    table[i] = c;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = make_crc_table();

uint32_t masked_crc(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; }

template <class T> void append_raw(std::string& out, T value) {
  static_assert(std::endian::native == std::endian::little);
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

// Protocol buffer wire format: a key is field << 3 | type; type 0 varint, 1 fixed 64, 2 bytes, 5 fixed 32.
void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}
void append_int(std::string& out, int field, int64_t value) {
  append_varint(out, static_cast<uint64_t>(field) << 3);
  append_varint(out, static_cast<uint64_t>(value));
}
void append_double(std::string& out, int field, double value) {
  append_varint(out, static_cast<uint64_t>(field) << 3 | 1);
  append_raw(out, value);
}
void append_float(std::string& out, int field, float value) {
  append_varint(out, static_cast<uint64_t>(field) << 3 | 5);
  append_raw(out, value);
}
void append_bytes(std::string& out, int field, std::string_view bytes) {
  append_varint(out, static_cast<uint64_t>(field) << 3 | 2);
  append_varint(out, bytes.size());
  out.append(bytes);
}

double wall_time() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 ? name : "localhost";
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t c = 0xffffffffu;
  for (const char byte : bytes) c = kCrcTable[(c ^ static_cast<unsigned char>(byte)) & 0xff] ^ (c >> 8);
  return c ^ 0xffffffffu;
}

EventFile::EventFile(const fs::path& folder, int64_t first_step) {
  // Readers want "tfevents" in the name and sort files by it: time first, padded.
  for (int i = 0; !file_; ++i) {
    path_ = folder / fmt::format("events.out.tfevents.{:010}.{}.{}.{}", static_cast<int64_t>(wall_time()), host_name(), ::getpid(), i);
    file_ = std::fopen(path_.c_str(), "wbx");
    if (!file_ && errno != EEXIST) throw_system_error("creating", path_, errno);
  }
  std::string version;
  append_double(version, 1, wall_time());
  append_bytes(version, 3, "brain.Event:2");
  write_record(version);
  std::string start, session;
  append_int(session, 1, 1);   // SessionLog.status = START
  append_double(start, 1, wall_time());
  append_int(start, 2, first_step);
  append_bytes(start, 7, session);
  write_record(start);
}

EventFile::~EventFile() { std::fclose(file_); }

void EventFile::write(int64_t step, std::span<const Scalar> scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    std::string entry;
    append_bytes(entry, 1, tag);
    append_float(entry, 2, static_cast<float>(value));
    append_bytes(summary, 1, entry);
  }
  std::string event;
  append_double(event, 1, wall_time());
  append_int(event, 2, step);
  append_bytes(event, 5, summary);
  write_record(event);
}

void EventFile::write_record(const std::string& message) {
  std::string frame;
  append_raw(frame, static_cast<uint64_t>(message.size()));
  append_raw(frame, masked_crc(frame));
  frame += message;
  append_raw(frame, masked_crc(message));
  if (std::fwrite(frame.data(), 1, frame.size(), file_) != frame.size() || std::fflush(file_) != 0)
    throw_system_error("writing", path_, errno);
}

}  // namespace temper
