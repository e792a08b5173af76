// The CPU kernel against its composite twin over all shapes of key lists, and the twin's gradient against autograd.

#include "kernels/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cpu/isa.h"
#include "support/tensors.h"

namespace temper {
namespace {

using namespace test;

Tensor indices(const std::vector<int64_t>& values) {
  Tensor t = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), t.mutable_data_ptr<int64_t>());
  return t;
}

struct Shape4 {
  int64_t heads, dim, window, ratio, top_k;   // ratio 0: no entries; top_k 0: no selection
  std::vector<int64_t> documents;
};

// Keys of packed documents as the model makes them, with a pseudo-random choice of entries.
AttentionKeys make_keys(const Shape4& s, at::ScalarType dtype) {
  std::vector<int64_t> window_begin, window_end, entry_begin, entry_end;
  int64_t start = 0, entry_start = 0, longest = 0;
  AttentionKeys keys;
  for (const int64_t length : s.documents) {
    for (int64_t t = 0; t < length; ++t) {
      window_begin.push_back(start + std::max<int64_t>(0, t - s.window + 1));
      window_end.push_back(start + t + 1);
      if (s.ratio == 0) continue;
      entry_begin.push_back(entry_start);
      entry_end.push_back(entry_start + (t + 1) / s.ratio);
    }
    start += length;
    longest = std::max(longest, length);
    if (s.ratio > 0) entry_start += length / s.ratio, keys.max_entries = std::max(keys.max_entries, length / s.ratio);
  }
  keys.window = random_tensor({start, s.dim}, "window", dtype);
  keys.window_begin = indices(window_begin);
  keys.window_end = indices(window_end);
  keys.max_window = std::min(s.window, longest);
  if (s.ratio == 0) return keys;
  keys.entries = random_tensor({entry_start, s.dim}, "entries", dtype);
  keys.entry_begin = indices(entry_begin);
  keys.entry_end = indices(entry_end);
  if (s.top_k == 0 || keys.max_entries <= s.top_k) return keys;
  keys.selected = at::empty({start, s.top_k}, at::kInt);
  int32_t* selected = keys.selected.mutable_data_ptr<int32_t>();
  for (int64_t t = 0; t < start; ++t) {
    const int64_t begin = entry_begin[static_cast<size_t>(t)], n = entry_end[static_cast<size_t>(t)] - begin;
    for (int64_t i = 0; i < s.top_k; ++i) selected[t * s.top_k + i] = i < n ? static_cast<int32_t>(begin + (n <= s.top_k ? i : (i * n / s.top_k + t) % n)) : -1;
    std::sort(selected + t * s.top_k, selected + (t + 1) * s.top_k);
    // Wrapped places may coincide: a chosen entry stands once.
    for (int64_t i = 1; i < s.top_k; ++i)
      if (selected[t * s.top_k + i] == selected[t * s.top_k + i - 1]) selected[t * s.top_k + i - 1] = -1;
  }
  return keys;
}

TEST(SinkAttentionKernel, AgreesWithItsTwinOverAllKeyListsDtypesAndIsas) {
  const std::vector<Shape4> shapes = {{1, 8, 1, 0, 0, {1}},          {4, 16, 5, 0, 0, {3, 17, 30}},  {8, 64, 64, 4, 0, {80, 3, 21}},
                                      {8, 64, 16, 4, 8, {70, 7}},    {3, 24, 7, 4, 5, {61, 90}},     {128, 32, 9, 4, 4, {40}},
                                      {4, 48, 33, 128, 0, {270, 20}}, {70, 20, 3, 4, 0, {21}},        {2, 96, 200, 4, 3, {70, 1, 2}}};
  for (const Shape4& s : shapes)
    for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kBFloat16}) {
      const AttentionKeys keys = make_keys(s, dtype);
      const int64_t T = keys.window.size(0);
      const Tensor q = random_tensor({T, s.heads, s.dim}, "q", dtype), grad_o = random_tensor({T, s.heads, s.dim}, "grad_o", dtype);
      const Tensor sink = random_tensor({s.heads}, "sink", dtype);
      const double scale = 1 / std::sqrt(static_cast<double>(s.dim));
      const AttentionOutput twin = reference::sink_attention(q, keys, sink, scale);
      const Tensor delta = (to_accumulate(grad_o) * to_accumulate(twin.o)).sum(-1), start = at::ones({s.heads}, twin.lse.options());
      const AttentionTrace trace{q, twin.lse, keys, scale};
      Tensor grad_sink_twin = start.clone();
      const AttentionGrads grads_twin = reference::sink_attention_backward(grad_o, delta, trace, sink, grad_sink_twin);
      for (const Isa isa : available_isas()) {
        const ForceIsa force(isa);
        SCOPED_TRACE(fmt::format("{} {} heads {} dim {} window {} ratio {} top_k {} documents {}", isa_name(isa), dtype_name(dtype), s.heads, s.dim, s.window,
                                 s.ratio, s.top_k, shape_text(s.documents)));
        const AttentionOutput out = kernel<SinkAttention>(q)(q, keys, sink, scale);
        EXPECT_TRUE(close(out.o, twin.o, pick(kAttentionCore, dtype)));
        EXPECT_TRUE(close(out.lse, twin.lse, pick(kAttentionCore, accumulate_dtype(dtype))));
        Tensor grad_sink = start.clone();
        const AttentionGrads grads = kernel<SinkAttentionBackward>(q)(grad_o, delta, trace, sink, grad_sink);
        EXPECT_TRUE(close(grads.q, grads_twin.q, pick(kAttentionCoreGrad, dtype)));
        // Gradients of keys are fp32 sums of bf16 products: where pairs of bf16 are multiplied, probabilities and their gradients are
        // rounded to bf16 first, as in every flash attention; the caller rounds these sums to bf16 in its next step anyway.
        EXPECT_TRUE(close(grads.window, grads_twin.window, pick(kAttentionCoreGrad, dtype)));
        EXPECT_TRUE(close(grad_sink, grad_sink_twin, pick(kAttentionCoreGrad, accumulate_dtype(dtype))));
        if (keys.entries.defined()) {
          EXPECT_TRUE(close(grads.entries, grads_twin.entries, pick(kAttentionCoreGrad, dtype)));
        }
      }
    }
}

TEST(SinkAttentionKernel, TwinGradientIsAutogradsGradient) {
  AttentionKeys keys = make_keys({4, 16, 5, 4, 3, {23, 9}}, at::kDouble);
  keys.window.requires_grad_();
  keys.entries.requires_grad_();
  const Tensor q = random_tensor({32, 4, 16}, "q", at::kDouble).requires_grad_(), sink = random_tensor({4}, "sink", at::kDouble).requires_grad_();
  const Tensor grad_o = random_tensor({32, 4, 16}, "grad_o", at::kDouble);
  const AttentionOutput out = reference::sink_attention(q, keys, sink, 0.25);
  (out.o * grad_o).sum().backward();

  AttentionKeys constant = keys;
  constant.window = keys.window.detach(), constant.entries = keys.entries.detach();
  Tensor grad_sink = at::zeros({4}, at::kDouble);
  const AttentionGrads grads = reference::sink_attention_backward(grad_o, (grad_o * out.o.detach()).sum(-1), {q.detach(), out.lse.detach(), constant, 0.25},
                                                                  sink.detach(), grad_sink);
  EXPECT_TRUE(close(grads.q, q.grad(), kAttentionCoreGrad.float64));
  EXPECT_TRUE(close(grads.window, keys.window.grad(), kAttentionCoreGrad.float64));
  EXPECT_TRUE(close(grads.entries, keys.entries.grad(), kAttentionCoreGrad.float64));
  EXPECT_TRUE(close(grad_sink, sink.grad(), kAttentionCoreGrad.float64));
}

TEST(SinkAttentionKernel, TakesCachesOfSeveralSequencesInAnyOrder) {
  // Three sequences with one query each: windows of 4, 2 and 4 rows in one buffer, entries likewise.
  const Tensor q = random_tensor({3, 8, 16}, "q"), sink = random_tensor({8}, "sink");
  AttentionKeys keys{.window = random_tensor({12, 16}, "w"), .window_begin = indices({0, 4, 8}), .window_end = indices({4, 6, 12}), .max_window = 4,
                     .entries = random_tensor({9, 16}, "e"), .entry_begin = indices({0, 3, 6}), .entry_end = indices({2, 3, 9}), .max_entries = 3, .selected = {}};
  EXPECT_TRUE(close(kernel<SinkAttention>(q)(q, keys, sink, 0.25).o, reference::sink_attention(q, keys, sink, 0.25).o, kAttentionCore.float32));
}

TEST(SinkAttentionKernel, RepeatsItsBits) {
  const AttentionKeys keys = make_keys({8, 64, 64, 4, 16, {400, 300}}, at::kBFloat16);
  const Tensor q = random_tensor({700, 8, 64}, "q", at::kBFloat16), sink = random_tensor({8}, "sink", at::kBFloat16);
  const AttentionOutput first = kernel<SinkAttention>(q)(q, keys, sink, 0.125), second = kernel<SinkAttention>(q)(q, keys, sink, 0.125);
  EXPECT_TRUE(same_bits(first.o, second.o));
  const Tensor delta = (to_accumulate(q) * to_accumulate(first.o)).sum(-1);
  const AttentionTrace trace{q, first.lse, keys, 0.125};
  const AttentionGrads a = kernel<SinkAttentionBackward>(q)(q, delta, trace, sink, {}), b = kernel<SinkAttentionBackward>(q)(q, delta, trace, sink, {});
  EXPECT_TRUE(same_bits(a.q, b.q));
  EXPECT_TRUE(same_bits(a.window, b.window));
  EXPECT_TRUE(same_bits(a.entries, b.entries));
}

}  // namespace
}  // namespace temper
