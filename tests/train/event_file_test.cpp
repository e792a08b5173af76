#include "train/event_file.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>

#include "support/temp_folder.h"

namespace temper {
namespace {

using test::TempFolder;

// RFC 3720 B.4: the CRC of 32 zeros, 32 ones, 0..31.
TEST(EventFile, Crc32cAgreesWithTheRfc) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string ascending;
  for (char c = 0; c < 32; ++c) ascending.push_back(c);
  EXPECT_EQ(crc32c(ascending), 0x46dd794eu);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
}

template <class T> T read_raw(const std::string& text, size_t at) {
  T value;
  std::memcpy(&value, text.data() + at, sizeof(T));
  return value;
}

// The frames of a file, each checksum recomputed by the mask of the TFRecord format.
std::vector<std::string> read_frames(const std::string& text) {
  const auto masked = [](std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; };
  std::vector<std::string> frames;
  for (size_t at = 0; at < text.size();) {
    const auto size = read_raw<uint64_t>(text, at);
    EXPECT_EQ(read_raw<uint32_t>(text, at + 8), masked(text.substr(at, 8)));
    frames.push_back(text.substr(at + 12, size));
    EXPECT_EQ(read_raw<uint32_t>(text, at + 12 + size), masked(frames.back()));
    at += 16 + size;
  }
  return frames;
}

TEST(EventFile, HoldsFramesThatTensorBoardReads) {
  const TempFolder folder;
  std::string text;
  {
    EventFile file(folder.path(), 7);
    const std::vector<Scalar> scalars = {{"train/loss", 2.5}};
    file.write(300, scalars);
    EXPECT_NE(file.path().filename().string().find("tfevents"), std::string::npos);
    text = read_file(file.path());   // flushed before the file is closed
  }
  const std::vector<std::string> frames = read_frames(text);
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_NE(frames[0].find("brain.Event:2"), std::string::npos);
  // By hand from event.proto: step 7 (field 2), session_log (field 7) with status START (field 1 = 1).
  EXPECT_EQ(frames[1].substr(9), std::string("\x10\x07\x3a\x02\x08\x01", 6));
  // step 300 = varint ac 02; summary (field 5, 19 bytes) of one value (field 1, 17 bytes): tag (field 1), 2.5f (field 2).
  EXPECT_EQ(frames[2].substr(9), std::string("\x10\xac\x02\x2a\x13\x0a\x11\x0a\x0atrain/loss\x15\x00\x00\x20\x40", 24));
}

TEST(EventFile, EachStartWritesAFileOfItsOwn) {
  const TempFolder folder;
  const EventFile a(folder.path(), 0), b(folder.path(), 0);
  EXPECT_NE(a.path(), b.path());
}

}  // namespace
}  // namespace temper
