#include "kernels/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <vector>

#include "kernels/cpu/isa/attention.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

// The inner loops want whole vectors of any instruction set, and bf16 only where pairs of it are multiplied.
Tensor prepare(const Tensor& x) {
  if (!x.defined()) return x;
  Tensor y = x.scalar_type() == at::kBFloat16 && isa() != Isa::kAvx512Bf16 ? x.to(at::kFloat) : x;
  const int64_t unit = y.scalar_type() == at::kDouble ? 8 : 16, missing = (unit - y.size(-1) % unit) % unit;
  if (missing > 0) y = at::constant_pad_nd(y, {0, missing});
  return y.contiguous();
}

// What `prepare` added is taken off again.
Tensor restore(const Tensor& y, int64_t dim, at::ScalarType dtype) { return y.narrow(-1, 0, dim).to(dtype).contiguous(); }

struct Prepared {
  Tensor q, window, entries, sink;   // owners of the pointers
  AttentionArgs args;
};

Prepared prepare(const Tensor& q, const AttentionKeys& keys, const Tensor& sink, double scale) {
  const bool has_entries = keys.entries.defined() && keys.max_entries > 0;
  Prepared p{.q = prepare(q), .window = prepare(keys.window), .entries = has_entries ? prepare(keys.entries) : Tensor(),
             .sink = sink.to(accumulate_dtype(q.scalar_type())).contiguous(), .args = {}};
  const int64_t n_selected = has_entries && keys.selected.defined() ? keys.selected.size(1) : 0;
  p.args = {.element = element_of(p.q), .n_queries = q.size(0), .n_heads = q.size(1), .dim = p.q.size(2), .scale = scale,
            .q = p.q.const_data_ptr(), .window = p.window.const_data_ptr(), .entries = has_entries ? p.entries.const_data_ptr() : nullptr,
            .window_begin = keys.window_begin.const_data_ptr<int64_t>(), .window_end = keys.window_end.const_data_ptr<int64_t>(),
            .entry_begin = has_entries ? keys.entry_begin.const_data_ptr<int64_t>() : nullptr,
            .entry_end = has_entries ? keys.entry_end.const_data_ptr<int64_t>() : nullptr,
            .selected = n_selected > 0 ? keys.selected.const_data_ptr<int32_t>() : nullptr, .n_selected = n_selected,
            .max_keys = keys.max_window + (n_selected > 0 ? std::min(n_selected, keys.max_entries) : has_entries ? keys.max_entries : 0),
            .sink = p.sink.const_data_ptr(), .o = nullptr, .lse = nullptr, .grad_o = nullptr, .delta = nullptr, .grad_q = nullptr};
  return p;
}

// Ranges of queries with about equally many keys, one for each thread.
std::vector<int64_t> split_by_keys(const AttentionArgs& a) {
  const auto n_keys = [&](int64_t t) {
    const int64_t entries = a.entry_begin == nullptr ? 0 : a.entry_end[t] - a.entry_begin[t];
    return a.window_end[t] - a.window_begin[t] + (a.selected != nullptr ? std::min(entries, a.n_selected) : entries) + 8;
  };
  int64_t total = 0;
  for (int64_t t = 0; t < a.n_queries; ++t) total += n_keys(t);
  const int64_t parts = count_parts(total * a.n_heads * a.dim, 1 << 16);
  std::vector<int64_t> borders{0};
  int64_t done = 0;
  for (int64_t t = 0; t < a.n_queries && static_cast<int64_t>(borders.size()) < parts; ++t) {
    done += n_keys(t);
    if (done >= total * static_cast<int64_t>(borders.size()) / parts) borders.push_back(t + 1);
  }
  borders.push_back(a.n_queries);
  return borders;
}

// Calls body(part, begin, end, scratch) on a thread for each part.
template <class Body>
void for_each_part(const AttentionArgs& args, const std::vector<int64_t>& borders, const Body& body) {
  int64_t bytes = 0;
  TEMPER_ISA_PICK(attention_scratch)(args, bytes);
  const int64_t parts = static_cast<int64_t>(borders.size()) - 1;
  const Tensor scratch = at::empty({parts * bytes + 64}, at::kByte);
  char* const aligned = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(scratch.data_ptr()) + 63) / 64 * 64);
  at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part)
      body(part, borders[static_cast<size_t>(part)], borders[static_cast<size_t>(part) + 1], aligned + part * bytes);
  });
}

AttentionOutput sink_attention(const Tensor& q, const AttentionKeys& keys, const Tensor& sink, double scale) {
  Prepared p = prepare(q, keys, sink, scale);
  Tensor o = at::empty_like(p.q), lse = at::empty({q.size(0), q.size(1)}, p.sink.options());
  p.args.o = o.data_ptr();
  p.args.lse = lse.data_ptr();
  for_each_part(p.args, split_by_keys(p.args), [&](int64_t, int64_t begin, int64_t end, void* scratch) {
    TEMPER_ISA_PICK(attention_forward)(p.args, begin, end, scratch);
  });
  return {restore(o, q.size(2), q.scalar_type()), lse};
}

// The rows of a key source that a part's queries see, and where their gradients are summed: the first part in the
// result itself, the others in buffers of their own, which are added in order afterwards.
struct GradRange {
  int64_t first = 0, count = 0;
  Tensor sum;
};

GradRange make_range(const int64_t* begin, const int64_t* end, int64_t from, int64_t to, const Tensor& result, bool is_first) {
  if (is_first || from == to) return {0, result.size(0), result};
  GradRange range{begin[from], 0, {}};
  int64_t last = end[from];
  for (int64_t t = from; t < to; ++t) range.first = std::min(range.first, begin[t]), last = std::max(last, end[t]);
  range.count = last - range.first;
  range.sum = at::zeros({range.count, result.size(1)}, result.options());
  return range;
}

AttentionGrads sink_attention_backward(const Tensor& grad_o_any, const Tensor& delta_any, const AttentionTrace& trace, const Tensor& sink,
                                       const Tensor& grad_sink) {
  Prepared p = prepare(trace.q, trace.keys, sink, trace.scale);
  const Tensor grad_o = prepare(grad_o_any), delta = delta_any.contiguous(), lse = trace.lse.contiguous();
  Tensor grad_q = at::empty_like(p.q), window = at::zeros(p.window.sizes(), lse.options());
  Tensor entries = p.entries.defined() ? at::zeros(p.entries.sizes(), lse.options()) : Tensor();
  p.args.lse = lse.data_ptr();
  p.args.grad_o = grad_o.const_data_ptr();
  p.args.delta = delta.const_data_ptr();
  p.args.grad_q = grad_q.data_ptr();

  const std::vector<int64_t> borders = split_by_keys(p.args);
  std::vector<GradRange> windows, entry_ranges;
  for (size_t part = 0; part + 1 < borders.size(); ++part) {
    windows.push_back(make_range(p.args.window_begin, p.args.window_end, borders[part], borders[part + 1], window, part == 0));
    entry_ranges.push_back(entries.defined() ? make_range(p.args.entry_begin, p.args.entry_end, borders[part], borders[part + 1], entries, part == 0) : GradRange{});
  }
  for_each_part(p.args, borders, [&](int64_t part, int64_t begin, int64_t end, void* scratch) {
    const GradRange &w = windows[static_cast<size_t>(part)], &e = entry_ranges[static_cast<size_t>(part)];
    const AttentionKeyGrads grads{.window = w.sum.data_ptr(), .window_first = w.first, .entries = e.sum.defined() ? e.sum.data_ptr() : nullptr, .entries_first = e.first};
    TEMPER_ISA_PICK(attention_backward)(p.args, begin, end, scratch, grads);
  });
  for (size_t part = 1; part < windows.size(); ++part) {
    window.narrow(0, windows[part].first, windows[part].count).add_(windows[part].sum);
    if (entries.defined()) entries.narrow(0, entry_ranges[part].first, entry_ranges[part].count).add_(entry_ranges[part].sum);
  }
  if (grad_sink.defined()) grad_sink.sub_((at::exp(p.sink - lse) * delta).sum(0));
  const int64_t dim = trace.q.size(2);
  AttentionGrads out{.q = restore(grad_q, dim, trace.q.scalar_type()), .window = restore(window, dim, lse.scalar_type()), .entries = {}};
  if (entries.defined())
    out.entries = restore(entries, dim, lse.scalar_type());
  else if (trace.keys.entries.defined())
    out.entries = at::zeros(trace.keys.entries.sizes(), lse.options());
  return out;
}

const DeviceKernel<SinkAttention> forward_registered{c10::DeviceType::CPU, &sink_attention};
const DeviceKernel<SinkAttentionBackward> backward_registered{c10::DeviceType::CPU, &sink_attention_backward};

}  // namespace
}  // namespace temper
