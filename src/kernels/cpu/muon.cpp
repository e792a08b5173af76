#include "kernels/muon.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/isa/muon.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

using namespace newton_schulz;

// Matrices of more elements are too large for a cache of one thread; all threads share the products of each.
constexpr int64_t kSharedElements = int64_t{1} << 21;

int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

// One matrix and the memory of its products.
struct Workspace {
  int64_t rows = 0, cols = 0, p = 0;   // p = min(rows, cols)
  Element element = Element::kFloat;
  char* x = nullptr;          // [rows, cols] element
  char* square[3] = {};       // [p, p] element
  char* sums = nullptr;       // [p, p] fp32, double for double elements
  char* next = nullptr;       // [rows, cols] element, where square[1] begins: all of it should stay in the second cache
  int64_t bytes = 0;          // of all these

  // Places of a matrix of this size from `memory` on; null only counts (`bytes`).
  Workspace(char* memory, int64_t n_rows, int64_t n_cols, Element e) : rows(n_rows), cols(n_cols), p(std::min(n_rows, n_cols)), element(e) {
    const auto take = [&](int64_t n, int64_t size) {
      const int64_t begin = std::exchange(bytes, bytes + round_up(n * size, 64));
      return memory == nullptr ? nullptr : memory + begin;
    };
    x = take(rows * cols, element_size());
    square[0] = take(p * p, element_size());
    const int64_t shared = bytes;
    square[1] = take(p * p, element_size());
    square[2] = take(p * p, element_size());
    sums = take(p * p, sum_size());
    next = square[1];
    bytes = std::max(bytes, shared + round_up(matrix_bytes(), 64));
  }
  int64_t element_size() const { return element == Element::kDouble ? 8 : element == Element::kFloat ? 4 : 2; }
  int64_t matrix_bytes() const { return rows * cols * element_size(); }
  int64_t sum_size() const { return element == Element::kDouble ? 8 : 4; }
  Element sums_element() const { return element == Element::kDouble ? Element::kDouble : Element::kFloat; }
  MatrixView square_view(const char* data) const { return {.data = data, .row = p, .column = 1, .element = element}; }
  MatrixView matrix_view() const { return {.data = x, .row = cols, .column = 1, .element = element}; }
  MatrixView wide_view() const { return rows <= cols ? matrix_view() : transposed(matrix_view()); }   // [p, q]
};

// sums = a b in its upper triangle, for a product that is symmetric because a and b are polynomials of one matrix or transposes of each other.
void symmetric_product(const Workspace& s, const MatrixView& a, const MatrixView& b, int64_t k) {
  gemm({GemmProblem{.m = s.p, .n = s.p, .k = k, .a = a, .b = b, .c = s.sums, .c_row = s.p, .c_element = s.sums_element(), .upper = true}});
}

// Of one symmetric matrix: unit I + keep base + keep2 base2 + scale sums.
struct Terms {
  double unit = 0, scale = 1, keep = 0;
  const char* base = nullptr;
  double keep2 = 0;
  const char* base2 = nullptr;
};

void add_terms(const Workspace& s, const Terms& t, char* out) {
  const SymmetricSum sum{.p = s.p, .sums = s.sums, .base = t.base, .base2 = t.base2, .out = out, .element = s.element, .unit = t.unit, .keep = t.keep, .keep2 = t.keep2, .scale = t.scale};
  parallel_parts((s.p + kSymmetricBlock - 1) / kSymmetricBlock, 64, [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(symmetric_sum_rows)(sum, begin, end); });
}

void copy_matrix(const Workspace& s, char* to, const char* from) {
  if (!shapes_only()) std::memcpy(to, from, static_cast<size_t>(s.matrix_bytes()));
}

// x = square[0] x (x square[0] for a tall matrix), or x += ...; overwrites the rest of the workspace.
void apply(const Workspace& s, bool add) {
  const MatrixView x = s.matrix_view(), factor = s.square_view(s.square[0]);
  const bool wide = s.rows <= s.cols;
  if (add) copy_matrix(s, s.next, s.x);
  gemm({GemmProblem{.m = s.rows, .n = s.cols, .k = s.p, .a = wide ? factor : x, .b = wide ? x : factor, .c = s.next, .c_row = s.cols, .c_element = s.element, .add = add}});
  copy_matrix(s, s.x, s.next);
}

// out = the terms with scale (a b)
void product(const Workspace& s, const char* a, const char* b, const Terms& terms, char* out) {
  symmetric_product(s, s.square_view(a), s.square_view(b), s.p);
  add_terms(s, terms, out);
}
// out = unit I + scale (x x^T)
void gram(const Workspace& s, double unit, double scale, char* out) {
  symmetric_product(s, s.wide_view(), transposed(s.wide_view()), std::max(s.rows, s.cols));
  add_terms(s, {.unit = unit, .scale = scale}, out);
}

// Two iterations that meet x once: with A = x x^T and P = a I + b A + c A^2, the next A is P A P, and the factors of both go to x together.  Not more
// than two, since A would drift from its x: errors of its small eigenvalues grow twelvefold in each (docs/decisions/0005-newton-schulz-in-pairs.md).
void fast_pair(const Workspace& s) {
  const auto [a, b, c] = kFast;
  char *const A = s.square[0], *const P = s.square[1], *const other = s.square[2];
  gram(s, 0, 1, A);
  product(s, A, A, {.unit = a, .scale = c, .keep = b, .base = A}, P);
  product(s, P, A, {}, other);
  product(s, P, other, {}, A);                                              // of the next x
  product(s, A, A, {.unit = a, .scale = c, .keep = b, .base = A}, other);   // its P
  product(s, other, P, {}, A);                                              // both factors
  apply(s, /*add=*/false);
}

// The same where A is near I, in terms of E = I - A, so that only a small part of the result is rounded: P = I + (E + E^2) / 2, and
// the next E is E^2 (-I + 3 E + E^2 + E^3) / 4.
void stable_pair(const Workspace& s) {
  static_assert(kStable.a == 2.0 && kStable.b == -1.5 && kStable.c == 0.5);
  char *const E = s.square[0], *const E2 = s.square[1], *const D1 = s.square[2];
  gram(s, 1, -1, E);
  product(s, E, E, {}, E2);
  add_terms(s, {.scale = 0.5, .keep = 0.5, .base = E}, D1);                 // P - I
  char* const rest = E;
  product(s, E2, E, {.unit = -0.25, .scale = 0.25, .keep = 0.75, .base = E, .keep2 = 0.25, .base2 = E2}, rest);
  char* const next_E = E2;
  product(s, E2, rest, {}, next_E);
  char* const D2 = E;
  product(s, next_E, next_E, {.scale = 0.5, .keep = 0.5, .base = next_E}, D2);
  product(s, D2, D1, {.keep = 1, .base = D1, .keep2 = 1, .base2 = D2}, D2);   // (I + D2) (I + D1) - I
  apply(s, /*add=*/true);
}

// x of norm 1 -> its orthogonal factor.
void iterate(const Workspace& s) {
  static_assert(kFastIterations % 2 == 0 && kStableIterations % 2 == 0);
  for (int i = 0; i < kFastIterations; i += 2) fast_pair(s);
  for (int i = 0; i < kStableIterations; i += 2) stable_pair(s);
}

// In float64, over chunks in their order: neither overflows nor vanishes, and does not depend on the threads.
float inverse_norm(const MuonElements& elements, int64_t size) {
  std::vector<double> squares(static_cast<size_t>((size + kMuonChunk - 1) / kMuonChunk));
  parallel_parts(static_cast<int64_t>(squares.size()), 4, [&](int64_t, int64_t begin, int64_t end) {
    TEMPER_ISA_PICK(muon_momentum)(elements, squares.data(), begin * kMuonChunk, std::min(end * kMuonChunk, size));
  });
  return static_cast<float>(1.0 / std::max(std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0)), kSmallestNorm));
}

void update_one(const MuonMatrix& matrix, const MuonConstants& constants, const Workspace& s) {
  const int64_t size = s.rows * s.cols;
  const double step = constants.lr * constants.update_rms * std::sqrt(static_cast<double>(std::max(s.rows, s.cols)));
  const MuonElements elements{.w = static_cast<float*>(matrix.w.data_ptr()), .m = static_cast<float*>(matrix.m.data_ptr()), .g = static_cast<const float*>(matrix.g.const_data_ptr()), .x = s.x,
                        .element = s.element, .momentum = static_cast<float>(constants.momentum), .grad_scale = static_cast<float>(matrix.grad_scale),
                        .keep = static_cast<float>(1.0 - constants.lr * constants.weight_decay), .step = static_cast<float>(step)};
  const float scale = inverse_norm(elements, size);
  parallel_parts(size, kMuonChunk, [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(muon_direction)(elements, scale, begin, end); });
  iterate(s);
  parallel_parts(size, kMuonChunk, [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(muon_apply)(elements, begin, end); });
}

bool fits(const MuonMatrix& matrix, at::ScalarType dtype) {
  const auto plain = [](const Tensor& t) { return t.scalar_type() == at::kFloat && t.is_contiguous(); };
  return dtype != at::kDouble && plain(matrix.w) && plain(matrix.m) && plain(matrix.g);
}

// Calls body(i, worker) for i < n on `workers` threads, whichever is free: no result depends on which.
template <class Body>
void share(int64_t n, int64_t workers, const Body& body) {
  if (shapes_only()) return;
  std::atomic<int64_t> next{0};
  Team::run(workers, [&](int64_t worker) {
    for (int64_t i = next++; i < n; i = next++) body(i, worker);
  });
}

void muon_update(std::span<const MuonMatrix> matrices, const MuonConstants& constants) {
  const bool all_fit = std::all_of(matrices.begin(), matrices.end(), [&](const MuonMatrix& m) { return fits(m, constants.dtype); });
  if (!all_fit) return reference::muon_update(matrices, constants);
  std::vector<const MuonMatrix*> small, large;
  for (const MuonMatrix& m : matrices) (m.w.numel() < kSharedElements ? small : large).push_back(&m);
  const auto by_size = [](const MuonMatrix* a, const MuonMatrix* b) { return a->w.numel() > b->w.numel(); };
  std::stable_sort(small.begin(), small.end(), by_size);   // the last ones to finish are short

  const auto workspace = [&](const MuonMatrix* m, char* memory) {
    return Workspace(memory, m->w.size(0), m->w.size(1), constants.dtype == at::kBFloat16 ? Element::kBFloat16 : Element::kFloat);
  };
  const int64_t workers = count_parts(static_cast<int64_t>(small.size()), 1);
  int64_t of_one = 0, of_large = 0;
  for (const MuonMatrix* m : small) of_one = std::max(of_one, workspace(m, nullptr).bytes);
  for (const MuonMatrix* m : large) of_large = std::max(of_large, workspace(m, nullptr).bytes);
  const Tensor scratch = kernel_scratch(std::max(workers * of_one, of_large));
  char* const memory = shapes_only() ? nullptr : static_cast<char*>(scratch.data_ptr());
  for (const MuonMatrix* m : large) update_one(*m, constants, workspace(m, memory));
  share(static_cast<int64_t>(small.size()), workers, [&](int64_t i, int64_t worker) {
    const MuonMatrix* m = small[static_cast<size_t>(i)];
    update_one(*m, constants, workspace(m, memory + worker * of_one));
  });
}

Tensor orthogonalise(const Tensor& g, at::ScalarType dtype) {
  const Tensor x = reference::unit_norm(g).to(dtype).contiguous(), out = at::empty_like(x);
  const int64_t n = x.size(0), workers = count_parts(n, 1);
  const auto workspace = [&](char* memory) { return Workspace(memory, x.size(1), x.size(2), element_of(x)); };
  const int64_t bytes = workspace(nullptr).bytes, size = static_cast<int64_t>(x.nbytes()) / std::max<int64_t>(n, 1);
  const Tensor scratch = kernel_scratch(workers * bytes);
  share(n, workers, [&](int64_t i, int64_t worker) {
    const Workspace s = workspace(static_cast<char*>(scratch.data_ptr()) + worker * bytes);
    std::memcpy(s.x, static_cast<const char*>(x.const_data_ptr()) + i * size, static_cast<size_t>(size));
    iterate(s);
    std::memcpy(static_cast<char*>(out.data_ptr()) + i * size, s.x, static_cast<size_t>(size));
  });
  return out.to(g.scalar_type());
}

const CpuKernel<Orthogonalise, &orthogonalise> orthogonalise_registered;
const CpuKernel<MuonUpdate, &muon_update> update_registered;

}  // namespace
}  // namespace temper
