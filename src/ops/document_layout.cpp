#include "ops/document_layout.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace temper {
namespace {

Tensor to_device(const std::vector<int64_t>& values, c10::Device device) {
  Tensor host = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), host.mutable_data_ptr<int64_t>());
  return host.to(device);
}

}  // namespace

DocumentLayout DocumentLayout::make(const std::vector<int64_t>& document_lengths, c10::Device device) {
  DocumentLayout layout;
  layout.lengths = document_lengths;
  std::vector<int64_t> positions;
  for (size_t i = 0; i < document_lengths.size(); ++i) {
    if (document_lengths[i] <= 0)
      throw Error({.kind = ErrorKind::kData,
                   .what = fmt::format("document {} of the batch has {} tokens, a document needs at least one", i, document_lengths[i]),
                   .where = "document_lengths",
                   .fix = "leave empty documents out of the batch"});
    layout.starts.push_back(layout.n_tokens);
    layout.n_tokens += document_lengths[i];
    for (int64_t position = 0; position < document_lengths[i]; ++position) positions.push_back(position);
  }
  if (document_lengths.empty())
    throw Error({.kind = ErrorKind::kData, .what = "a batch without documents", .where = "document_lengths", .fix = "give at least one document"});
  layout.positions = to_device(positions, device);
  return layout;
}

EntryTable DocumentLayout::entries(int64_t ratio) const {
  EntryTable table;
  table.ratio = ratio;
  std::vector<int64_t> first_token, previous, entry_positions, begin, end;
  begin.reserve(static_cast<size_t>(n_tokens));
  end.reserve(static_cast<size_t>(n_tokens));
  for (size_t document = 0; document < lengths.size(); ++document) {
    const int64_t count = lengths[document] / ratio, start = table.n_entries;
    for (int64_t i = 0; i < count; ++i) {
      first_token.push_back(starts[document] + i * ratio);
      previous.push_back(i == 0 ? -1 : starts[document] + (i - 1) * ratio);
      entry_positions.push_back(i * ratio);
    }
    for (int64_t t = 0; t < lengths[document]; ++t) {
      begin.push_back(start);
      end.push_back(start + (t + 1) / ratio);
    }
    table.counts.push_back(count);
    table.starts.push_back(start);
    table.n_entries += count;
    table.max_entries = std::max(table.max_entries, count);
    if (count > 0) table.n_seeing_tokens += lengths[document] - (ratio - 1);
  }
  const c10::Device device = positions.device();
  table.first_token = to_device(first_token, device);
  table.previous = to_device(previous, device);
  table.positions = to_device(entry_positions, device);
  table.begin = to_device(begin, device);
  table.end = to_device(end, device);
  return table;
}

Tensor DocumentLayout::window_begin(int64_t window) const {
  std::vector<int64_t> begin;
  begin.reserve(static_cast<size_t>(n_tokens));
  for (size_t document = 0; document < lengths.size(); ++document)
    for (int64_t t = 0; t < lengths[document]; ++t) begin.push_back(starts[document] + std::max<int64_t>(0, t - window + 1));
  return to_device(begin, positions.device());
}

}  // namespace temper
