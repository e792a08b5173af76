#include "support/rewrite_checkpoint.h"

#include <cstring>
#include <stdexcept>

namespace temper::test {

void rewrite_manifest(const fs::path& checkpoint, const std::function<void(Manifest&)>& change) {
  const fs::path path = checkpoint / kManifestName;
  Manifest manifest = parse_manifest(read_file(path), path.string());
  change(manifest);
  write_file_atomic(path, render_manifest(manifest));
}

void rewrite_tensor(const fs::path& checkpoint, const std::string& name, const Tensor& value) {
  rewrite_manifest(checkpoint, [&](Manifest& manifest) {
    for (ManifestTensor& tensor : manifest.tensors) {
      if (tensor.name != name) continue;
      ManifestPiece& piece = tensor.pieces.front();
      const Tensor packed = value.contiguous();
      if (tensor.pieces.size() != 1 || piece.bytes != packed.nbytes()) throw std::invalid_argument("rewrite_tensor: " + name);
      std::string content = read_file(checkpoint / piece.file);
      std::memcpy(content.data() + piece.offset, packed.const_data_ptr(), piece.bytes);
      write_file_atomic(checkpoint / piece.file, content);
      piece.xxh3 = xxh3_of(std::as_bytes(std::span(content)).subspan(piece.offset, piece.bytes));
      return;
    }
    throw std::invalid_argument("rewrite_tensor: there is no " + name);
  });
}

}  // namespace temper::test
