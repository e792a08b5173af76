#pragma once
// Copies of a model as other people publish them, made from its official files.

#include <functional>

#include "support/tiny_model.h"

namespace temper::test {

using Named = std::vector<std::pair<std::string, Tensor>>;

/// Of the tensor with this name; fails the test without it.
Tensor& tensor_of(Named& tensors, const std::string& name);

/// Every name through `rename`; an empty result removes the tensor.
Named renamed(const Named& tensors, const std::function<std::string(const std::string&)>& rename);

/// "layers.*" as they are, and at the top level the names of transformers: what its newer versions save.
std::string mixed_dialect_name(const std::string& released);

/// E8M0 scales as the bytes they are.
Named with_u8_scales(Named tensors);

/// Without blocks: `read` gives the values of a matrix.  Everything bf16, I64 excepted.
Named as_bf16(const Named& tensors, const std::function<Tensor(const std::string& name)>& read);

/// FP4 matrices of main layers in NVFP4 by NVIDIA's exact conversion: with G = 8 - the largest exponent of the matrix (w1 and w3
/// together), scales of 16 columns are 2^(exponent + G) and the factor is 2^-G.  Input scales are 1.
Named as_nvfp4(const Named& tensors);

}  // namespace temper::test
