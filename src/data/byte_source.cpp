#include "data/byte_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "data/file_kind.h"

namespace temper {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 18;

[[noreturn]] void throw_damaged(const fs::path& path, std::string what) {
  throw Error({.kind = ErrorKind::kData,
               .what = std::move(what),
               .where = path.string(),
               .fix = "copy or download the file again; nothing of it was used"});
}

// Reads once and front to back, so that a pipe will do: what was looked at to tell the kind of file is kept.
class PlainSource : public ByteSource {
 public:
  explicit PlainSource(const fs::path& path) : path_(path) {
    do fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);   // a named pipe waits for its writer here
    while (fd_ < 0 && errno == EINTR && (check_interrupt(), true));
    if (fd_ < 0) throw_system_error("opening", path, errno);
  }
  ~PlainSource() override { ::close(fd_); }
  PlainSource(const PlainSource&) = delete;
  PlainSource& operator=(const PlainSource&) = delete;

  size_t read(std::span<char> into) override {
    if (looked_at_.empty()) return read_more(into);
    const size_t n = std::min(into.size(), looked_at_.size());
    std::copy_n(looked_at_.begin(), n, into.begin());
    looked_at_.erase(0, n);
    return n;
  }
  /// The first bytes, which read() will give again; fewer only at the end of the file.
  std::string_view look(size_t n_bytes) {
    char buffer[16];
    while (looked_at_.size() < n_bytes) {
      const size_t n = read_more(std::span(buffer, std::min(n_bytes - looked_at_.size(), sizeof buffer)));
      if (n == 0) break;
      looked_at_.append(buffer, n);
    }
    return looked_at_;
  }

 private:
  size_t read_more(std::span<char> into) {
    while (true) {
      check_interrupt();
      const ssize_t n = ::read(fd_, into.data(), into.size());
      if (n >= 0) return static_cast<size_t>(n);
      if (errno != EINTR) throw_system_error("reading", path_, errno);
    }
  }

  fs::path path_;
  int fd_ = -1;
  std::string looked_at_;
};

class GzipSource : public ByteSource {
 public:
  GzipSource(const fs::path& path, std::unique_ptr<PlainSource> file) : path_(path), file_(std::move(file)), chunk_(kChunkBytes) {
    if (inflateInit2(&stream_, 15 + 16) != Z_OK) throw_damaged(path_, "zlib could not be set up");   // 16: gzip header
  }
  ~GzipSource() override { inflateEnd(&stream_); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  size_t read(std::span<char> into) override {
    stream_.next_out = reinterpret_cast<Bytef*>(into.data());
    stream_.avail_out = static_cast<uInt>(into.size());
    while (stream_.avail_out == into.size()) {
      if (stream_.avail_in == 0) {
        stream_.next_in = reinterpret_cast<Bytef*>(chunk_.data());
        stream_.avail_in = static_cast<uInt>(file_->read(chunk_));
        if (stream_.avail_in == 0) {
          if (inside_member_) throw_damaged(path_, "the gzip file ends in the middle of its data (cut off)");
          return 0;
        }
      }
      if (!inside_member_) inflateReset(&stream_);
      inside_member_ = true;
      const int result = inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_STREAM_END) inside_member_ = false;
      else if (result != Z_OK && result != Z_BUF_ERROR)
        throw_damaged(path_, fmt::format("the gzip data is damaged: {}", stream_.msg ? stream_.msg : "unknown reason"));
    }
    return into.size() - stream_.avail_out;
  }

 private:
  fs::path path_;
  std::unique_ptr<PlainSource> file_;
  std::vector<char> chunk_;
  z_stream stream_{};
  bool inside_member_ = false;
};

class ZstdSource : public ByteSource {
 public:
  ZstdSource(const fs::path& path, std::unique_ptr<PlainSource> file) : path_(path), file_(std::move(file)), chunk_(kChunkBytes), stream_(ZSTD_createDStream()) {}
  ~ZstdSource() override { ZSTD_freeDStream(stream_); }
  ZstdSource(const ZstdSource&) = delete;
  ZstdSource& operator=(const ZstdSource&) = delete;

  size_t read(std::span<char> into) override {
    ZSTD_outBuffer out{into.data(), into.size(), 0};
    while (out.pos == 0) {
      if (in_.pos == in_.size && !output_pending_) {
        in_ = {chunk_.data(), file_->read(chunk_), 0};
        if (in_.size == 0) {
          if (inside_frame_) throw_damaged(path_, "the zstd file ends in the middle of its data (cut off)");
          return 0;
        }
      }
      const size_t left = ZSTD_decompressStream(stream_, &out, &in_);
      if (ZSTD_isError(left)) throw_damaged(path_, fmt::format("the zstd data is damaged: {}", ZSTD_getErrorName(left)));
      inside_frame_ = left != 0;
      output_pending_ = out.pos == out.size && inside_frame_;
    }
    return out.pos;
  }

 private:
  fs::path path_;
  std::unique_ptr<PlainSource> file_;
  std::vector<char> chunk_;
  ZSTD_DStream* stream_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool inside_frame_ = false, output_pending_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> open_bytes(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error))
    throw Error({.kind = ErrorKind::kData, .what = "this is a folder, a file is needed", .where = path.string(),
                 .fix = "name the file itself; several files are several [[data.sources]]"});
  auto file = std::make_unique<PlainSource>(path);
  const std::string_view first = file->look(kHeadBytes), magic = first.substr(0, 4);
  const size_t n = first.size();
  const bool gzip = magic.starts_with("\x1f\x8b");
  const bool zstd = magic == std::string_view("\x28\xb5\x2f\xfd") ||
                    (n >= 4 && (static_cast<unsigned char>(magic[0]) & 0xf0) == 0x50 && magic.substr(1) == "\x2a\x4d\x18");
  const auto refuse = [&](std::string what, std::string fix) {
    throw Error({.kind = ErrorKind::kData, .what = std::move(what), .where = path.string(), .fix = std::move(fix)});
  };
  refuse_foreign_file(path, first);
  if (path.extension() == ".gz" && !gzip && n > 0) refuse("the name ends in .gz but the content is not gzip", "rename or compress it");
  if (path.extension() == ".zst" && !zstd && n > 0) refuse("the name ends in .zst but the content is not zstd", "rename or compress it");
  if (gzip) return std::make_unique<GzipSource>(path, std::move(file));
  if (zstd) return std::make_unique<ZstdSource>(path, std::move(file));
  return file;
}

std::string read_all_bytes(const fs::path& path) {
  const std::unique_ptr<ByteSource> source = open_bytes(path == "-" ? "/dev/stdin" : path);
  std::string all;
  std::vector<char> chunk(kChunkBytes);
  while (const size_t n = source->read(chunk)) all.append(chunk.data(), n);
  return all;
}

}  // namespace temper
