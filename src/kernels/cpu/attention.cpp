#include "kernels/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <vector>

#include "kernels/cpu/attention_args.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

// What whole_vectors added is taken off again.
Tensor restore(const Tensor& y, int64_t dim, at::ScalarType dtype) {
  if (y.size(-1) == dim && y.scalar_type() == dtype) return y;
  return y.narrow(-1, 0, dim).to(dtype).contiguous();
}

// Ranges of queries with about equally many keys, one for each thread.
std::vector<int64_t> split_by_keys(const AttentionArgs& a) {
  return split_by_cost(a.n_queries, 1 << 16, [&](int64_t t) {
    const int64_t entries = a.entry_begin == nullptr ? 0 : a.entry_end[t] - a.entry_begin[t];
    return (a.window_end[t] - a.window_begin[t] + (a.selected != nullptr ? std::min(entries, a.n_selected) : entries) + 8) * a.n_heads * a.dim;
  });
}

// Calls body(part, begin, end, scratch) on a thread for each part.
template <class Body>
void for_each_part(const AttentionArgs& args, const std::vector<int64_t>& borders, const Body& body) {
  int64_t bytes = 0;
  TEMPER_ISA_PICK(attention_scratch)(args, bytes);
  const Tensor scratch = kernel_scratch((static_cast<int64_t>(borders.size()) - 1) * bytes + 64);
  char* const aligned = static_cast<char*>(align(scratch.data_ptr()));
  for_each_cost_part(borders, [&](int64_t part, int64_t begin, int64_t end) { body(part, begin, end, aligned + part * bytes); });
}

AttentionOutput sink_attention(const Tensor& q, const AttentionKeys& keys, const Tensor& sink, double scale) {
  AttentionPointers p = attention_pointers(q, keys, sink, scale);
  Tensor o = at::empty(p.q.sizes(), p.q.options()), lse = at::empty({q.size(0), q.size(1)}, p.sink.options());
  p.args.o = o.data_ptr();
  p.args.lse = lse.data_ptr();
  for_each_part(p.args, split_by_keys(p.args), [&](int64_t, int64_t begin, int64_t end, void* scratch) {
    TEMPER_ISA_PICK(attention_forward)(p.args, begin, end, scratch);
  });
  return {restore(o, q.size(2), q.scalar_type()), lse};
}

AttentionGrads sink_attention_backward(const Tensor& grad_o_any, const Tensor& delta_any, const AttentionTrace& trace, const Tensor& sink,
                                       const Tensor& grad_sink) {
  AttentionPointers p = attention_pointers(trace.q, trace.keys, sink, trace.scale);
  const Tensor grad_o = whole_vectors(grad_o_any), delta = delta_any.contiguous(), lse = trace.lse.contiguous();
  Tensor grad_q = at::empty(p.q.sizes(), p.q.options()), window = at::zeros(p.window.sizes(), lse.options());
  Tensor entries = p.entries.defined() ? at::zeros(p.entries.sizes(), lse.options()) : Tensor();
  p.args.lse = lse.data_ptr();
  p.args.grad_o = grad_o.const_data_ptr();
  p.args.delta = delta.const_data_ptr();
  p.args.grad_q = grad_q.data_ptr();

  const std::vector<int64_t> borders = split_by_keys(p.args);
  std::vector<KeyGradRange> window_ranges, entry_ranges;
  for (size_t part = 0; part + 1 < borders.size(); ++part) {
    window_ranges.push_back(key_grad_range(p.args.window_begin, p.args.window_end, borders[part], borders[part + 1], window, part == 0));
    if (entries.defined()) entry_ranges.push_back(key_grad_range(p.args.entry_begin, p.args.entry_end, borders[part], borders[part + 1], entries, part == 0));
  }
  for_each_part(p.args, borders, [&](int64_t part, int64_t begin, int64_t end, void* scratch) {
    const KeyGradRange& w = window_ranges[static_cast<size_t>(part)];
    AttentionKeyGrads grads{.window = w.sum.data_ptr(), .window_first = w.first, .entries = nullptr, .entries_first = 0};
    if (entries.defined()) {
      grads.entries = entry_ranges[static_cast<size_t>(part)].sum.data_ptr();
      grads.entries_first = entry_ranges[static_cast<size_t>(part)].first;
    }
    TEMPER_ISA_PICK(attention_backward)(p.args, begin, end, scratch, grads);
  });
  add_key_grads(window_ranges, window);
  if (entries.defined()) add_key_grads(entry_ranges, entries);
  if (grad_sink.defined()) grad_sink.sub_((at::exp(p.sink - lse) * delta).sum(0));
  const int64_t dim = trace.q.size(2);
  AttentionGrads out{.q = restore(grad_q, dim, trace.q.scalar_type()), .window = restore(window, dim, lse.scalar_type()), .entries = {}};
  if (entries.defined())
    out.entries = restore(entries, dim, lse.scalar_type());
  else if (trace.keys.entries.defined())
    out.entries = at::zeros(trace.keys.entries.sizes(), lse.options());
  return out;
}

const CpuKernel<SinkAttention, &sink_attention> forward_registered;
const CpuKernel<SinkAttentionBackward, &sink_attention_backward> backward_registered;

}  // namespace
}  // namespace temper
