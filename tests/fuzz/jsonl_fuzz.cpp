// Any bytes as a data file: rows are converted or refused with BadRow or Error, nothing else may happen.
// fuzz sources: src/data/byte_source.cpp src/data/text_reader.cpp src/data/row_format.cpp src/data/message_check.cpp

#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "data/row_format.h"
#include "data/text_reader.h"

namespace {

temper::fs::path file_with(const uint8_t* data, size_t size) {
  static const temper::fs::path path = "/dev/shm/temper_jsonl_fuzz." + std::to_string(::getpid());
  std::FILE* file = std::fopen(path.c_str(), "wb");
  std::fwrite(data, 1, size, file);
  std::fclose(file);
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace temper;
  try {
    const fs::path path = file_with(data, size);
    LineReader lines(path, 1 << 16);
    for (TextPiece piece; lines.next_filled(piece);) {
      if (!piece.defect.empty()) continue;
      if (first_invalid_utf8(piece.text) != std::string_view::npos) std::abort();
      try {
        const Json row = parse_row(piece.text);
        const TrainingRow converted = convert_row(row, detect_row_format(row), {.mask_history = size % 2 == 0});
        (void)converted.messages.dump();
      } catch (const BadRow&) {
      }
    }
    DocumentReader documents(path, "---", 1 << 16);
    for (TextPiece piece; documents.next(piece);)
      if (piece.defect.empty() && piece.text.empty()) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
