#pragma once
// Sinkhorn normalisation of M x M matrices forward and backward, one token in each lane.  Only for the sources of cpu/isa/.
// kM = M where it is known at compile time (then everything stays in registers), else 0.

#include "kernels/cpu/isa/math.h"

namespace temper::TEMPER_ISA_NAMESPACE {

inline constexpr int kHcMaxM = 8;   // kHcMaxMult

// inverses: [M] of the sums, where wanted (not null).
template <int kM, class A>
inline void normalise(Vec<A>* m, int64_t m_size, int64_t along, int64_t across, A eps, Vec<A>* inverses) {
  const int64_t M = kM ? kM : m_size;
#pragma GCC unroll 4
  for (int64_t line = 0; line < M; ++line) {
    Vec<A> sum = broadcast(eps);
#pragma GCC unroll 4
    for (int64_t i = 0; i < M; ++i) sum += m[line * across + i * along];
    const Vec<A> inverse = 1 / sum;
    if (inverses) inverses[line] = inverse;
#pragma GCC unroll 4
    for (int64_t i = 0; i < M; ++i) m[line * across + i * along] *= inverse;
  }
}
template <int kM, class A>
inline void normalise_rows(Vec<A>* m, int64_t M, A eps, Vec<A>* inverses = nullptr) { normalise<kM, A>(m, M, 1, kM ? kM : M, eps, inverses); }
template <int kM, class A>
inline void normalise_columns(Vec<A>* m, int64_t M, A eps, Vec<A>* inverses = nullptr) { normalise<kM, A>(m, M, kM ? kM : M, 1, eps, inverses); }

// Softmax of each row of logits, in place.
template <int kM, class A>
inline void softmax_rows(Vec<A>* m, int64_t m_size) {
  const int64_t M = kM ? kM : m_size;
  for (int64_t j = 0; j < M; ++j) {
    Vec<A> largest = m[j * M];
    for (int64_t k = 1; k < M; ++k) largest = max_of(largest, m[j * M + k]);
    Vec<A> sum{};
    for (int64_t k = 0; k < M; ++k) sum += m[j * M + k] = exp_of(m[j * M + k] - largest);
    const Vec<A> inverse = 1 / sum;
    for (int64_t k = 0; k < M; ++k) m[j * M + k] *= inverse;
  }
}

template <int kM, class A>
inline void sinkhorn(Vec<A>* m, int64_t m_size, int64_t iters, A eps) {
  const int64_t M = kM ? kM : m_size;
  softmax_rows<kM, A>(m, M);
  Vec<A> local[kM ? kM * kM : kHcMaxM * kHcMaxM];
#pragma GCC unroll 16
  for (int64_t i = 0; i < M * M; ++i) local[i] = m[i] + eps;
  normalise_columns<kM, A>(local, M, eps);
  for (int64_t i = 1; i < iters; ++i) {
    normalise_rows<kM, A>(local, M, eps);
    normalise_columns<kM, A>(local, M, eps);
  }
#pragma GCC unroll 16
  for (int64_t i = 0; i < M * M; ++i) m[i] = local[i];
}

// One normalisation backwards: y its output, the inverses of its sums, d the gradient, changed in place.
template <int kM, class A>
inline void unnormalise(const Vec<A>* y, const Vec<A>* inverses, Vec<A>* d, int64_t m_size, int64_t along, int64_t across) {
  const int64_t M = kM ? kM : m_size;
#pragma GCC unroll 4
  for (int64_t line = 0; line < M; ++line) {
    Vec<A> dot{};
#pragma GCC unroll 4
    for (int64_t i = 0; i < M; ++i) dot += d[line * across + i * along] * y[line * across + i * along];
#pragma GCC unroll 4
    for (int64_t i = 0; i < M; ++i) {
      const int64_t at = line * across + i * along;
      d[at] = (d[at] - dot) * inverses[line];
    }
  }
}

/// Vectors of scratch that sinkhorn_backward needs.
inline int64_t sinkhorn_scratch(int64_t M, int64_t iters) { return M * M + (2 * iters - 1) * (M * M + M); }

/// d: gradient of the result -> of the logits.
template <int kM, class A>
inline void sinkhorn_backward(Vec<A>* d, const Vec<A>* logits, int64_t m_size, int64_t iters, A eps, Vec<A>* steps) {
  const int64_t M = kM ? kM : m_size, n = M * M;
  Vec<A>* first = steps;   // softmax, without eps
  for (int64_t i = 0; i < n; ++i) first[i] = logits[i];
  softmax_rows<kM, A>(first, M);
  const int64_t n_steps = 2 * iters - 1;
  Vec<A>* outputs = steps + n;                   // of normalisation s at outputs + s * n
  Vec<A>* inverses = outputs + n_steps * n;      // at inverses + s * M
  Vec<A> last[kM ? kM * kM : kHcMaxM * kHcMaxM];   // the latest matrix
  for (int64_t i = 0; i < n; ++i) last[i] = first[i] + eps;
  for (int64_t s = 0; s < n_steps; ++s) {
    s % 2 == 0 ? normalise_columns<kM, A>(last, M, eps, inverses + s * M) : normalise_rows<kM, A>(last, M, eps, inverses + s * M);
#pragma GCC unroll 16
    for (int64_t i = 0; i < n; ++i) outputs[s * n + i] = last[i];
  }
  Vec<A> grad[kM ? kM * kM : kHcMaxM * kHcMaxM];
  for (int64_t i = 0; i < n; ++i) grad[i] = d[i];
  for (int64_t s = n_steps; s-- > 0;)
    s % 2 == 0 ? unnormalise<kM, A>(outputs + s * n, inverses + s * M, grad, M, M, 1) : unnormalise<kM, A>(outputs + s * n, inverses + s * M, grad, M, 1, M);
  for (int64_t j = 0; j < M; ++j) {
    Vec<A> sum{};
    for (int64_t k = 0; k < M; ++k) sum += grad[j * M + k] * first[j * M + k];
    for (int64_t k = 0; k < M; ++k) d[j * M + k] = first[j * M + k] * (grad[j * M + k] - sum);
  }
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
