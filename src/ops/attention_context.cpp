#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>

#include <algorithm>

#include "ops/attention.h"

namespace temper {

AttentionContext AttentionContext::make(const Options& options) {
  AttentionContext context;
  context.layout = DocumentLayout::make(options.document_lengths, options.device);
  const DocumentLayout& layout = context.layout;
  context.main = make_rotation(options.main, layout.positions, options.dtype);
  context.compress = make_rotation(options.compress, layout.positions, options.dtype);
  context.window_begin = layout.window_begin(options.sliding_window);
  context.window_end = at::arange(layout.n_tokens, layout.positions.options()) + 1;
  context.max_window = std::min(options.sliding_window, *std::max_element(layout.lengths.begin(), layout.lengths.end()));
  for (const int64_t ratio : options.ratios) {
    if (ratio == 0 || context.entries.contains(ratio)) continue;
    const EntryTable table = layout.entries(ratio);
    context.entries.emplace(ratio, Entries{table, make_compressor_plan(table, options.compress, options.dtype)});
  }
  return context;
}

}  // namespace temper
