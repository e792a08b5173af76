// Any bytes are a valid header or an Error{kCheckpoint}; a valid one survives being written and read again.
// fuzz sources: src/checkpoint/safetensors_header.cpp
#include <cstdlib>

#include "base/error.h"
#include "checkpoint/safetensors_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    temper::SafetensorsHeader header = temper::parse_safetensors_header(bytes, size, "fuzz");
    for (const temper::StoredTensor& tensor : header.tensors)
      if (tensor.offset > size || tensor.bytes > size - tensor.offset) std::abort();
    std::vector<temper::StoredTensor> tensors = header.tensors;
    std::string again = temper::render_safetensors_header(tensors, header.metadata);
    uint64_t data_bytes = 0;
    for (const temper::StoredTensor& tensor : tensors) data_bytes += tensor.bytes;
    const auto written = std::as_bytes(std::span(again.data(), again.size()));
    if (temper::parse_safetensors_header(written, again.size() + data_bytes, "again").tensors.size() != tensors.size()) std::abort();
  } catch (const temper::Error& error) {
    if (error.kind() != temper::ErrorKind::kCheckpoint) std::abort();
  }
  return 0;
}
