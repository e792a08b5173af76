#pragma once
// From tensors to the pointers of the attention and indexer kernels; gradients of keys that several threads add to.

#include <vector>

#include "kernels/attention.h"
#include "kernels/cpu/isa/attention.h"

namespace temper {

/// The inner loops want whole vectors of any instruction set, and bf16 only where pairs of it are multiplied: pads the last
/// dim with zeros and widens, where needed.
Tensor whole_vectors(const Tensor& x);

struct AttentionPointers {
  Tensor q, window, entries, sink;   // owners of the pointers; the index tensors belong to the caller
  AttentionArgs args;                // without outputs
};
AttentionPointers attention_pointers(const Tensor& q, const AttentionKeys& keys, const Tensor& sink, double scale);

/// The rows of a key source that a part's queries see, and where their gradients are summed: the first part in the result
/// itself, the others in buffers of their own, which `add_key_grads` adds in order.
struct KeyGradRange {
  int64_t first = 0, count = 0;
  Tensor sum;
};
KeyGradRange key_grad_range(const int64_t* begin, const int64_t* end, int64_t first_query, int64_t last_query, const Tensor& result, bool is_first);
void add_key_grads(const std::vector<KeyGradRange>& ranges, Tensor& result);

}  // namespace temper
