#pragma once
// Training checkpoints with other content and right digests.

#include <functional>
#include <string>

#include "checkpoint/manifest.h"
#include "tensor/tensor.h"

namespace temper::test {

/// Writes manifest.json again after `change`.
void rewrite_manifest(const fs::path& checkpoint, const std::function<void(Manifest&)>& change);

/// Replaces the bytes of a tensor that is stored in one piece.  REQUIRES the same number of bytes
void rewrite_tensor(const fs::path& checkpoint, const std::string& name, const Tensor& value);

}  // namespace temper::test
