#include "kernels/indexer.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/cpu/attention_args.h"
#include "kernels/cpu/isa/indexer.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

// Keeps the K best of n scores and their rows, in place and in order; of equal ones the first.  Returns the least score kept.
// REQUIRES n >= K and no NaN.
template <class A>
A keep_best(A* scores, int32_t* rows, int64_t n, int64_t K, std::vector<A>& work) {
  work.assign(scores, scores + n);
  std::nth_element(work.begin(), work.begin() + (K - 1), work.end(), std::greater<>());
  const A least = work[static_cast<size_t>(K - 1)];
  int64_t equal_places = K - std::count_if(work.begin(), work.begin() + K, [&](A score) { return score > least; }), kept = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (!(scores[i] > least || (scores[i] == least && equal_places-- > 0))) continue;
    scores[kept] = scores[i];
    rows[kept++] = rows[i];
  }
  return least;
}

// The best K entries of queries that see more than K: keys stream by, and only those that beat the K-th best so far are kept.
template <class A>
class Selection {
 public:
  Selection(const IndexerArgs& args, int64_t K, void* scratch)
      : args_(args), K_(K), scratch_(scratch), scores_(static_cast<size_t>(kScoreQueries * capacity())), rows_(static_cast<size_t>(kScoreQueries * capacity())) {}

  /// Queries [first, first + n_queries) with the same first entry.
  void block(int64_t first, int64_t n_queries, int64_t entry_begin, const int64_t* ends, int32_t* selected) {
    int64_t counts[kScoreQueries] = {};
    std::fill_n(thresholds_, kScoreQueries, std::numeric_limits<A>::quiet_NaN());
    TEMPER_ISA_PICK(indexer_pack_queries)(args_, first, n_queries, scratch_);
    const IndexerCandidates candidates{.n_queries = n_queries, .ends = ends, .thresholds = thresholds_, .capacity = capacity(), .counts = counts,
                                       .scores = scores_.data(), .rows = rows_.data()};
    const auto reduce = [&](int64_t query) {
      thresholds_[query] = keep_best(scores_.data() + query * capacity(), rows_.data() + query * capacity(), counts[query], K_, work_);
      counts[query] = K_;
    };
    const int64_t end = *std::max_element(ends, ends + n_queries);
    for (int64_t key = entry_begin; key < end; key += kKeys) {
      TEMPER_ISA_PICK(indexer_candidates)(args_, candidates, key, std::min(kKeys, end - key), scratch_);
      for (int64_t query = 0; query < n_queries; ++query)
        if (counts[query] > 2 * K_) reduce(query);
    }
    for (int64_t query = 0; query < n_queries; ++query) {
      reduce(query);
      std::copy_n(rows_.data() + query * capacity(), K_, selected + query * K_);
    }
  }

  /// One query: its scores are few, and all are kept.
  void single(int64_t query, int64_t entry_begin, int64_t entry_end, int32_t* selected) {
    const int64_t n = entry_end - entry_begin;
    scores_.resize(static_cast<size_t>(std::max(n, kScoreQueries * capacity())));
    rows_.resize(scores_.size());
    TEMPER_ISA_PICK(indexer_scores)(args_, query, entry_begin, n, scratch_, scores_.data());
    for (int64_t i = 0; i < n; ++i) {
      A& score = scores_[static_cast<size_t>(i)];
      if (score != score) score = static_cast<A>(std::numeric_limits<float>::lowest());
      rows_[static_cast<size_t>(i)] = static_cast<int32_t>(entry_begin + i);
    }
    keep_best(scores_.data(), rows_.data(), n, K_, work_);
    std::copy_n(rows_.data(), K_, selected);
  }

 private:
  static constexpr int64_t kKeys = 192;   // between two looks at the lists
  int64_t capacity() const { return 2 * K_ + kKeys; }

  const IndexerArgs& args_;
  const int64_t K_;
  void* const scratch_;
  alignas(64) A thresholds_[kScoreQueries];
  std::vector<A> scores_, work_;
  std::vector<int32_t> rows_;
};

template <class A>
void select_queries(const IndexerArgs& args, const int64_t* entry_begin, const int64_t* entry_end, int64_t K, int64_t first, int64_t last, void* scratch, int32_t* selected) {
  constexpr int64_t kFew = 4;   // blocks below this are not worth packing
  Selection<A> selection(args, K, scratch);
  const auto is_sparse = [&](int64_t t) { return entry_end[t] - entry_begin[t] > K; };
  for (int64_t t = first; t < last;) {
    int32_t* row = selected + t * K;
    if (!is_sparse(t)) {
      for (int64_t i = 0; i < K; ++i) row[i] = entry_begin[t] + i < entry_end[t] ? static_cast<int32_t>(entry_begin[t] + i) : -1;
      ++t;
      continue;
    }
    int64_t to = t + 1;
    while (to < last && to - t < kScoreQueries && is_sparse(to) && entry_begin[to] == entry_begin[t]) ++to;
    if (to - t >= kFew) selection.block(t, to - t, entry_begin[t], entry_end + t, row);
    for (int64_t query = t; to - t < kFew && query < to; ++query) selection.single(query, entry_begin[query], entry_end[query], selected + query * K);
    t = to;
  }
}

IndexerArgs make_args(const Tensor& q, const Tensor& keys, const Tensor& weights) {
  return {.element = element_of(q), .n_heads = q.size(1), .dim = q.size(2), .q = q.const_data_ptr(), .keys = keys.const_data_ptr(), .weights = weights.const_data_ptr()};
}

Tensor indexer_select(const IndexerInputs& inputs, int64_t top_k) {
  const int64_t T = inputs.q.size(0), K = std::min(top_k, inputs.max_entries);
  const Tensor q = whole_vectors(inputs.q), keys = whole_vectors(inputs.keys), weights = inputs.weights.contiguous();
  const IndexerArgs args = make_args(q, keys, weights);
  const int64_t *begin = inputs.entry_begin.const_data_ptr<int64_t>(), *end = inputs.entry_end.const_data_ptr<int64_t>();
  Tensor selected = at::empty({T, K}, inputs.q.options().dtype(at::kInt));
  int32_t* const rows = selected.data_ptr<int32_t>();

  const auto cost = [&](int64_t t) { return K + (end[t] - begin[t] > K ? (end[t] - begin[t]) * args.n_heads * args.dim / 8 : 0); };
  for_each_cost_part(split_by_cost(T, 1 << 15, cost), [&](int64_t, int64_t first, int64_t last) {
    int64_t bytes = 0;
    TEMPER_ISA_PICK(indexer_scratch)(args, bytes);
    std::vector<char> scratch(static_cast<size_t>(bytes) + 64);
    void* aligned = align(scratch.data());
    if (args.element == Element::kDouble)
      select_queries<double>(args, begin, end, K, first, last, aligned, rows);
    else
      select_queries<float>(args, begin, end, K, first, last, aligned, rows);
  });
  return selected;
}

IndexerLossOutput indexer_loss(const IndexerInputs& inputs, const AttentionTrace& trace) {
  const int64_t T = inputs.q.size(0), Hi = inputs.q.size(1);
  const Tensor q = whole_vectors(inputs.q), keys = whole_vectors(inputs.keys), weights = inputs.weights.contiguous(), lse = trace.lse.contiguous();
  const Tensor no_sink = at::zeros({trace.q.size(1)}, lse.options());
  AttentionPointers attention = attention_pointers(trace.q, trace.keys, no_sink, trace.scale);
  attention.args.lse = lse.data_ptr();
  const auto wide = weights.options();
  Tensor loss = at::empty({T}, wide), grad_q = at::empty({T, Hi, q.size(2)}, wide), grad_weights = at::empty({T, Hi}, wide), grad_keys = at::zeros(keys.sizes(), wide);
  const IndexerLossArgs args{.indexer = make_args(q, keys, weights), .attention = attention.args, .loss = loss.data_ptr(), .grad_q = grad_q.data_ptr(),
                             .grad_weights = grad_weights.data_ptr()};
  const int64_t *begin = attention.args.entry_begin, *end = attention.args.entry_end;
  const auto cost = [&](int64_t t) { return 1 + std::min(end[t] - begin[t], attention.args.n_selected > 0 ? attention.args.n_selected : end[t] - begin[t]) * 1024; };
  const std::vector<int64_t> borders = split_by_cost(T, 1 << 15, cost);
  std::vector<KeyGradRange> ranges;
  for (size_t part = 0; part + 1 < borders.size(); ++part) ranges.push_back(key_grad_range(begin, end, borders[part], borders[part + 1], grad_keys, part == 0));
  for_each_cost_part(borders, [&](int64_t part, int64_t first, int64_t last) {
    int64_t bytes = 0;
    TEMPER_ISA_PICK(indexer_loss_scratch)(args, bytes);
    std::vector<char> scratch(static_cast<size_t>(bytes) + 64);
    const KeyGradRange& range = ranges[static_cast<size_t>(part)];
    TEMPER_ISA_PICK(indexer_loss_queries)(args, first, last, align(scratch.data()), range.sum.data_ptr(), range.first);
  });
  add_key_grads(ranges, grad_keys);
  const int64_t dim = inputs.q.size(2);
  return {.loss = loss.sum(), .grad_q = grad_q.narrow(-1, 0, dim).to(inputs.q.scalar_type()).contiguous(),
          .grad_keys = grad_keys.narrow(-1, 0, dim).contiguous(), .grad_weights = grad_weights};
}

const CpuKernel<IndexerSelect, &indexer_select> select_registered;
const CpuKernel<IndexerLoss, &indexer_loss> loss_registered;

}  // namespace
}  // namespace temper
