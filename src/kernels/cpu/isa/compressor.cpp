#include "kernels/cpu/isa/compressor.h"

#include "kernels/cpu/isa/math.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

template <class F>
void with_real(Element element, F&& f) {
  if (element == Element::kDouble) return f(double{});
  f(float{});
}

// One or two blocks of rows: those an entry pools, each with its columns.
struct Block {
  int64_t row, column;
};
inline int blocks_of(const PoolArgs& a, int64_t entry, Block (&blocks)[2]) {
  int n = 0;
  if (a.overlap && a.previous[entry] >= 0) blocks[n++] = {a.previous[entry], 0};
  blocks[n++] = {a.first_token[entry], a.overlap ? a.dim : 0};
  return n;
}

// Calls body(channel, n): n = a whole vector of channels, fewer for what is left.
template <class A, class Body>
inline void for_channels(int64_t dim, const Body& body) {
  int64_t channel = 0;
  for (; channel + kLanes<A> <= dim; channel += kLanes<A>) body(channel, kLanes<A>);
  if (channel < dim) body(channel, static_cast<int>(dim - channel));
}

template <class A>
inline Vec<A> load_some(const void* base, int64_t offset, int n) {
  const A* p = static_cast<const A*>(base) + offset;
  if (n == kLanes<A>) return load(p);
  Vec<A> v{};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
template <class A>
inline void store_some(void* base, int64_t offset, int n, Vec<A> v) {
  A* p = static_cast<A*>(base) + offset;
  if (n == kLanes<A>) return store(p, v);
  for (int i = 0; i < n; ++i) p[i] = v[i];
}

template <class A>
struct Softmax {
  Vec<A> max, inverse_sum, pooled;
};

template <class A>
inline Softmax<A> pool(const PoolArgs& a, const Block* blocks, int n_blocks, int64_t channel, int n) {
  Softmax<A> s{broadcast(static_cast<A>(-__builtin_inf())), {}, {}};
  const auto gate = [&](const Block& block, int64_t row) {
    return load_some<A>(a.gates, (block.row + row) * a.width + block.column + channel, n) + load_some<A>(a.ape, row * a.width + block.column + channel, n);
  };
  for (int b = 0; b < n_blocks; ++b)
    for (int64_t row = 0; row < a.ratio; ++row) s.max = max_of(gate(blocks[b], row), s.max);
  Vec<A> sum{};
  for (int b = 0; b < n_blocks; ++b)
    for (int64_t row = 0; row < a.ratio; ++row) {
      const Vec<A> weight = exp_of(gate(blocks[b], row) - s.max);
      sum += weight;
      s.pooled += weight * load_some<A>(a.values, (blocks[b].row + row) * a.width + blocks[b].column + channel, n);
    }
  s.inverse_sum = 1 / sum;
  s.pooled *= s.inverse_sum;
  return s;
}

}  // namespace

void pool_entries(const PoolArgs& a, int64_t begin, int64_t end) {
  with_real(a.element, [&]<class A>(A) {
    for (int64_t entry = begin; entry < end; ++entry) {
      Block blocks[2];
      const int n_blocks = blocks_of(a, entry, blocks);
      for_channels<A>(a.dim, [&](int64_t channel, int n) { store_some<A>(a.pooled, entry * a.dim + channel, n, pool<A>(a, blocks, n_blocks, channel, n).pooled); });
    }
  });
}

void pool_backward_entries(const PoolArgs& a, void* grad_ape, int64_t begin, int64_t end) {
  with_real(a.element, [&]<class A>(A) {
    for (int64_t entry = begin; entry < end; ++entry) {
      Block blocks[2];
      const int n_blocks = blocks_of(a, entry, blocks);
      for_channels<A>(a.dim, [&](int64_t channel, int n) {
        const Softmax<A> s = pool<A>(a, blocks, n_blocks, channel, n);
        const Vec<A> grad = load_some<A>(a.grad_pooled, entry * a.dim + channel, n);
        for (int b = 0; b < n_blocks; ++b)
          for (int64_t row = 0; row < a.ratio; ++row) {
            const int64_t at = (blocks[b].row + row) * a.width + blocks[b].column + channel, ape_at = row * a.width + blocks[b].column + channel;
            const Vec<A> weight = exp_of(load_some<A>(a.gates, at, n) + load_some<A>(a.ape, ape_at, n) - s.max) * s.inverse_sum;
            const Vec<A> grad_value = weight * grad, grad_gate = grad_value * (load_some<A>(a.values, at, n) - s.pooled);
            store_some<A>(a.grad_values, at, n, grad_value);
            store_some<A>(a.grad_gates, at, n, grad_gate);
            if (grad_ape != nullptr) store_some<A>(grad_ape, ape_at, n, load_some<A>(grad_ape, ape_at, n) + grad_gate);
          }
      });
    }
  });
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
