// Any text as a checkpoint's manifest, with the right digest appended: it is read, or refused with Error{kCheckpoint}; what
// was read is written and read again.
// fuzz sources: src/checkpoint/manifest.cpp src/checkpoint/safetensors_header.cpp

#include <fmt/format.h>

#include <cstdlib>

#include "checkpoint/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace temper;
  const std::string body(reinterpret_cast<const char*>(data), size);   // without its last brace
  const std::string text = fmt::format("{},\n \"xxh3\": \"{:016x}\"\n}}\n", body, xxh3_of(std::as_bytes(std::span(body))));
  try {
    const Manifest manifest = parse_manifest(text, "fuzz");
    if (parse_manifest(render_manifest(manifest), "again").tensors.size() != manifest.tensors.size()) std::abort();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kCheckpoint) std::abort();
  }
  return 0;
}
