#include "kernels/cpu/isa/muon.h"

#include "kernels/cpu/isa/pack.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

// Calls `vectors` at the first element of each whole vector, then `singles` for the rest.
template <class Vectors, class Singles>
void for_elements(int64_t begin, int64_t end, const Vectors& vectors, const Singles& singles) {
  int64_t i = begin;
  for (; i + kLanes<float> <= end; i += kLanes<float>) vectors(i);
  for (; i < end; ++i) singles(i);
}

// One element of an output.
template <class X, class A>
A entry(const SymmetricSums& a, const SymmetricOutput& o, int64_t i, int64_t j) {
  A value = static_cast<A>(o.scale) * static_cast<const A*>(a.sums)[i * a.p + j];
  for (int k = 0; k < 3; ++k)
    if (o.keep[k] != 0) value += static_cast<A>(o.keep[k]) * to_float(static_cast<const X*>(a.base[k])[i * a.p + j]);
  return i == j ? value + static_cast<A>(o.unit) : value;
}

// The block of `rows` x `columns` at (i, j), j >= i, one element after the other.
template <class X, class A>
void block_by_elements(const SymmetricSums& a, int64_t i, int64_t rows, int64_t j, int64_t columns) {
  for (int64_t r = i; r < i + rows; ++r)
    for (int64_t c = j > r ? j : r; c < j + columns; ++c) {
      A values[3];   // all of them before an output replaces a base
      for (int o = 0; o < a.outputs; ++o) values[o] = entry<X, A>(a, a.output[o], r, c);
      for (int o = 0; o < a.outputs; ++o) {
        X* out = static_cast<X*>(a.output[o].out);
        out[r * a.p + c] = from_float<X>(values[o]);
        if (a.output[o].mirrored) out[c * a.p + r] = from_float<X>(values[o]);
      }
    }
}

// The square block at (i, j), j >= i, of an output: its rows, and its columns if it is mirrored.
template <class X, class A>
void store_block(const SymmetricSums& a, const SymmetricOutput& o, int64_t i, int64_t j, const Vec<A>* block) {
  constexpr int L = kLanes<A>;
  X* out = static_cast<X*>(o.out);
  Vec<A> columns[L];
#pragma GCC unroll 16
  for (int r = 0; r < L; ++r) columns[r] = block[r];
  if (i == j || o.mirrored) transpose_square(columns);
  if (i != j) {
#pragma GCC unroll 16
    for (int r = 0; r < L; ++r) store(out + (i + r) * a.p + j, block[r]);
    if (!o.mirrored) return;
#pragma GCC unroll 16
    for (int r = 0; r < L; ++r) store(out + (j + r) * a.p + i, columns[r]);
    return;
  }
  typename Lanes<A>::I lane;
  for (int l = 0; l < L; ++l) lane[l] = l;
#pragma GCC unroll 16
  for (int r = 0; r < L; ++r) {
    const Vec<A> whole = lane < r ? columns[r] : block[r];   // left of the diagonal its mirror image
    store(out + (i + r) * a.p + i, lane == r ? whole + static_cast<A>(o.unit) : whole);
  }
}

// The square block at (i, j), j >= i, of as many rows as a vector has lanes.
template <class X, class A>
void block_by_vectors(const SymmetricSums& a, int64_t i, int64_t j) {
  constexpr int L = kLanes<A>;
  Vec<A> blocks[3][L];   // all of them before an output replaces a base
  for (int o = 0; o < a.outputs; ++o)
    for (int r = 0; r < L; ++r) blocks[o][r] = static_cast<A>(a.output[o].scale) * load(static_cast<const A*>(a.sums) + (i + r) * a.p + j);
  for (int k = 0; k < 3; ++k) {
    if (a.base[k] == nullptr) continue;
    for (int r = 0; r < L; ++r) {
      const Vec<A> base = load(static_cast<const X*>(a.base[k]) + (i + r) * a.p + j);
      for (int o = 0; o < a.outputs; ++o) blocks[o][r] += static_cast<A>(a.output[o].keep[k]) * base;
    }
  }
  for (int o = 0; o < a.outputs; ++o) store_block<X, A>(a, a.output[o], i, j, blocks[o]);
}

}  // namespace

void muon_momentum(const MuonElements& a, double* squares, int64_t begin, int64_t end) {
  constexpr int H = kLanes<double>;
  for (int64_t chunk = begin; chunk < end; chunk += kMuonChunk) {
    const int64_t after = chunk + kMuonChunk < end ? chunk + kMuonChunk : end;
    Vec<double> low{}, high{};
    double rest = 0;
    for_elements(
        chunk, after,
        [&](int64_t i) {
          const Vec<float> g = a.grad_scale * load(a.g + i), m = a.momentum * load(a.m + i) + g;
          store(a.m + i, m);
          float direction[2 * H];
          store(direction, a.momentum * m + g);
          const Vec<double> first = load_as(static_cast<double*>(nullptr), direction), second = load_as(static_cast<double*>(nullptr), direction + H);
          low += first * first;
          high += second * second;
        },
        [&](int64_t i) {
          a.m[i] = a.momentum * a.m[i] + a.grad_scale * a.g[i];
          const double direction = a.momentum * a.m[i] + a.grad_scale * a.g[i];
          rest += direction * direction;
        });
    squares[chunk / kMuonChunk] = sum_lanes<double>(low + high) + rest;
  }
}

void muon_direction(const MuonElements& a, float scale, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) {
    if constexpr (!__is_same(X, double)) {
      X* x = static_cast<X*>(a.x);
      for_elements(
          begin, end, [&](int64_t i) { store(x + i, scale * (a.momentum * load(a.m + i) + a.grad_scale * load(a.g + i))); },
          [&](int64_t i) { x[i] = from_float<X>(scale * (a.momentum * a.m[i] + a.grad_scale * a.g[i])); });
    }
  });
}

void muon_apply(const MuonElements& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) {
    if constexpr (!__is_same(X, double)) {
      const X* x = static_cast<const X*>(a.x);
      for_elements(
          begin, end, [&](int64_t i) { store(a.w + i, a.keep * load(a.w + i) - a.step * load(x + i)); },
          [&](int64_t i) { a.w[i] = a.keep * a.w[i] - a.step * to_float(x[i]); });
    }
  });
}

void symmetric_sum_rows(const SymmetricSums& a, int64_t begin, int64_t end) {
  with_element(a.element, [&]<class X>(X*) {
    using A = Accumulate<X>;
    constexpr int64_t L = kLanes<A>;
    static_assert(kSymmetricBlock % L == 0);
    for (int64_t i = begin * kSymmetricBlock; i < end * kSymmetricBlock && i < a.p; i += L) {
      if (i + L > a.p) return block_by_elements<X, A>(a, i, a.p - i, i, a.p - i);
      int64_t j = i;
      for (; j + L <= a.p; j += L) block_by_vectors<X, A>(a, i, j);
      block_by_elements<X, A>(a, i, L, j, a.p - j);
    }
  });
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
