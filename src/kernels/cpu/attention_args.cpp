#include "kernels/cpu/attention_args.h"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/zeros.h>

#include "kernels/cpu/parallel.h"

namespace temper {

Tensor whole_vectors(const Tensor& x) {
  if (!x.defined()) return x;
  Tensor y = x.scalar_type() == at::kBFloat16 && isa() != Isa::kAvx512Bf16 ? x.to(at::kFloat) : x;
  const int64_t unit = y.scalar_type() == at::kDouble ? 8 : 16, missing = (unit - y.size(-1) % unit) % unit;
  if (missing > 0) y = at::constant_pad_nd(y, {0, missing});
  return y.contiguous();
}

AttentionPointers attention_pointers(const Tensor& q, const AttentionKeys& keys, const Tensor& sink, double scale) {
  const bool has_entries = keys.entries.defined() && keys.max_entries > 0;
  AttentionPointers p{.q = whole_vectors(q), .window = whole_vectors(keys.window), .entries = has_entries ? whole_vectors(keys.entries) : Tensor(),
                      .sink = dense(sink, accumulate_dtype(q.scalar_type())), .args = {}};
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

KeyGradRange key_grad_range(const int64_t* begin, const int64_t* end, int64_t first_query, int64_t last_query, const Tensor& result, bool is_first) {
  if (is_first || first_query == last_query) return {0, result.size(0), result};
  if (shapes_only()) return {0, result.size(0), at::zeros(result.sizes(), result.options())};   // the ranges are values: all rows at most
  int64_t first = begin[first_query], last = end[first_query];
  for (int64_t t = first_query; t < last_query; ++t) first = std::min(first, begin[t]), last = std::max(last, end[t]);
  return {first, last - first, at::zeros({last - first, result.size(1)}, result.options())};
}

void add_key_grads(const std::vector<KeyGradRange>& ranges, Tensor& result) {
  for (const KeyGradRange& range : ranges)
    if (!range.sum.is_same(result)) result.narrow(0, range.first, range.count).add_(range.sum);
}

}  // namespace temper
