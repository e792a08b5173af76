#include "kernels/muon.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "kernels/cpu/adamw.h"
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
  char* square[4] = {};       // [p, p] element
  char* sums = nullptr;       // [p, p] fp32, double for double elements
  char* next = nullptr;       // [rows, cols] element
  int64_t bytes = 0;          // of all these

  // Places of a matrix of this size from `memory` on; null only counts (`bytes`).
  Workspace(char* memory, int64_t n_rows, int64_t n_cols, Element e) : rows(n_rows), cols(n_cols), p(std::min(n_rows, n_cols)), element(e) {
    const auto take = [&](int64_t n, int64_t size) {
      const int64_t begin = std::exchange(bytes, bytes + round_up(n * size, 64));
      return memory == nullptr ? nullptr : memory + begin;
    };
    x = take(rows * cols, element_bytes(element));
    next = take(rows * cols, element_bytes(element));
    for (char*& place : square) place = take(p * p, element_bytes(element));
    sums = take(p * p, element_bytes(sums_element()));
  }
  int64_t matrix_bytes() const { return rows * cols * element_bytes(element); }
  Element sums_element() const { return element == Element::kDouble ? Element::kDouble : Element::kFloat; }
  MatrixView square_view(const char* data) const { return {.data = data, .row = p, .column = 1, .element = element}; }
  MatrixView matrix_view() const { return {.data = x, .row = cols, .column = 1, .element = element}; }
  MatrixView wide_view() const { return rows <= cols ? matrix_view() : transposed(matrix_view()); }   // [p, q]
};

// The factor Q by which two iterations multiply x: with t = x x^T - shift I, Q = w (w + u) + v and w = b^2 + d, where b, d, u and v are polynomials
// of t, given by their coefficients of I, t, t^2 and t^3.  With `add` v is that of Q - I, which is made and added: where Q is near I only a small
// part of the result is rounded.  tools/oracle/newton_schulz_pairs.py finds them for these iterations.
static_assert(kFast.a == 3.4445 && kFast.b == -4.7750 && kFast.c == 2.0315 && kStable.a == 2.0 && kStable.b == -1.5 && kStable.c == 0.5);
struct PairScheme {
  double shift;
  bool add;
  double b[4], d[4], u[4], v[4];
};
constexpr PairScheme kFastPair{.shift = 0.5,
                               .add = false,
                               .b = {0.74760535431560016, 2.3006997383461174, -4.1640343551506636, 2.8955111389657957},
                               .d = {-0.77259310028367256, -0.22040719883629081, -0.90764328286951224, 0},
                               .u = {0, -0.44230772502345878, 3.0831302450102265, -3.841329609697663},
                               .v = {0.9613812175218841, -1.0607863996270261, 3.549162805289245, -2.9770510331882178}};
constexpr PairScheme kStablePair{.shift = 1,
                                 .add = true,
                                 .b = {0.55187474562918826, 0.67396115081842811, -0.2651650429449553, 0.35355339059327379},
                                 .d = {-0.30456573486328126, -0.77634573293228948, 0.201568603515625, 0},
                                 .u = {0.48639648437499999, 0.036602598677078886, -0.34537353515625002, -0.3},
                                 .v = {0, -0.48421086212403924, 0.1985158603637418, -0.32938764083478145}};

// Upper triangles of products that are symmetric because their factors are polynomials of one matrix or transposes of each other.
void symmetric_product(const Workspace& s, const MatrixView& a, const MatrixView& b, int64_t k, char* c, Element c_element, bool add) {
  gemm({GemmProblem{.m = s.p, .n = s.p, .k = k, .a = a, .b = b, .c = c, .c_row = s.p, .c_element = c_element, .add = add, .upper = true}});
}
// s.sums = x x^T
void gram(const Workspace& s) { symmetric_product(s, s.wide_view(), transposed(s.wide_view()), std::max(s.rows, s.cols), s.sums, s.sums_element(), /*add=*/false); }
// s.sums = a b
void square_product(const Workspace& s, const char* a, const char* b) { symmetric_product(s, s.square_view(a), s.square_view(b), s.p, s.sums, s.sums_element(), /*add=*/false); }
// c = a b or c += a b, rounded once
void square_product(const Workspace& s, const char* a, const char* b, char* c, bool add) { symmetric_product(s, s.square_view(a), s.square_view(b), s.p, c, s.element, add); }

// Polynomials of t from s.sums and `bases`, upper triangles.
void store_sums(const Workspace& s, std::initializer_list<const char*> bases, std::initializer_list<SymmetricOutput> outputs) {
  SymmetricSums sums{.p = s.p, .sums = s.sums, .base = {}, .output = {}, .outputs = static_cast<int>(outputs.size()), .element = s.element};
  std::copy(bases.begin(), bases.end(), sums.base);
  std::copy(outputs.begin(), outputs.end(), sums.output);
  parallel_parts(s.p, 1024, [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(symmetric_sum_rows)(sums, begin, end); });
}

// The lower triangle from the upper one.
void mirror(const Workspace& s, char* square) {
  const SquareMatrix matrix{.data = square, .p = s.p, .element = s.element};
  parallel_parts((s.p + kMirrorBlock - 1) / kMirrorBlock, 64, [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(mirror_rows)(matrix, begin, end); });
}

// x = square[0] x (x square[0] for a tall matrix), or x += ...
void apply(Workspace& s, bool add) {
  const MatrixView x = s.matrix_view(), factor = s.square_view(s.square[0]);
  const bool wide = s.rows <= s.cols;
  if (add && !shapes_only()) std::memcpy(s.next, s.x, static_cast<size_t>(s.matrix_bytes()));
  gemm({GemmProblem{.m = s.rows, .n = s.cols, .k = s.p, .a = wide ? factor : x, .b = wide ? x : factor, .c = s.next, .c_row = s.cols, .c_element = s.element, .add = add}});
  std::swap(s.x, s.next);
}

// Two iterations that meet x twice, with five symmetric products in all.  Not more than two: the factor belongs to the rounded x x^T, and the more
// iterations it holds, the more it is off for the small singular values of x beside large ones (docs/decisions/0005-newton-schulz-in-pairs.md).
void iterate_twice(Workspace& s, const PairScheme& q) {
  const auto [t3, t, t2, b] = s.square;
  gram(s);
  store_sums(s, {}, {{.out = t, .unit = -q.shift, .scale = 1}});
  mirror(s, t);
  square_product(s, t, t, t2, /*add=*/false);
  mirror(s, t2);
  square_product(s, t, t2);
  store_sums(s, {t, t2}, {{.out = b, .unit = q.b[0], .scale = q.b[3], .keep = {q.b[1], q.b[2]}}, {.out = t3, .scale = 1}});
  mirror(s, b);
  square_product(s, b, b);
  char *const v = t3, *const w = t, *const w_u = t2;
  store_sums(s, {t, t2, t3},
             {{.out = v, .unit = q.v[0], .keep = {q.v[1], q.v[2], q.v[3]}},
              {.out = w, .unit = q.d[0], .scale = 1, .keep = {q.d[1], q.d[2], q.d[3]}},
              {.out = w_u, .unit = q.d[0] + q.u[0], .scale = 1, .keep = {q.d[1] + q.u[1], q.d[2] + q.u[2], q.d[3] + q.u[3]}}});
  mirror(s, w);
  mirror(s, w_u);
  square_product(s, w, w_u, v, /*add=*/true);   // Q, or Q - I
  mirror(s, v);
  apply(s, q.add);
}

// One iteration as it is printed.
void iterate_once(Workspace& s, const Coefficients& k) {
  char* const square = s.square[0];
  gram(s);
  store_sums(s, {}, {{.out = square, .scale = 1}});
  mirror(s, square);
  square_product(s, square, square);
  store_sums(s, {square}, {{.out = square, .unit = k.a - 1, .scale = k.c, .keep = {k.b}}});
  mirror(s, square);
  apply(s, /*add=*/true);
}

// Whether all singular values of x are near 1 or below: one that two rounded iterations brought above 1.26 has grown far beyond that since.
bool settled(const Workspace& s) {
  if (shapes_only()) return true;
  double squares = 0;
  TEMPER_ISA_PICK(muon_squares)(s.x, s.element, s.rows * s.cols, squares);
  return squares <= 1.03 * static_cast<double>(s.p) + 1;   // not so for NaN
}

// x, which `fill` writes with norm 1, -> its orthogonal factor.
template <class Fill>
void iterate(Workspace& s, const Fill& fill) {
  static_assert(kFastIterations % 2 == 0 && kStableIterations % 2 == 0);
  fill();
  for (int i = 0; i < kFastIterations; i += 2) iterate_twice(s, kFastPair);
  for (int i = 0; i < kStableIterations; i += 2) iterate_twice(s, kStablePair);
  if (settled(s)) return;
  fill();
  for (int i = 0; i < kFastIterations + kStableIterations; ++i) iterate_once(s, i < kFastIterations ? kFast : kStable);
}

// In float64, over chunks in their order: neither overflows nor vanishes, and does not depend on the threads.
float inverse_norm(const MuonElements& elements, int64_t size) {
  std::vector<double> squares(static_cast<size_t>((size + kMuonChunk - 1) / kMuonChunk));
  parallel_parts(static_cast<int64_t>(squares.size()), 4, [&](int64_t, int64_t begin, int64_t end) {
    TEMPER_ISA_PICK(muon_momentum)(elements, squares.data(), begin * kMuonChunk, std::min(end * kMuonChunk, size));
  });
  return static_cast<float>(1.0 / std::max(std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0)), kSmallestNorm));
}

void update_one(const MuonMatrix& matrix, const MuonConstants& constants, Workspace s) {
  const int64_t size = s.rows * s.cols;
  const double step = constants.lr * constants.update_rms * std::sqrt(static_cast<double>(std::max(s.rows, s.cols)));
  MuonElements elements{.w = static_cast<float*>(matrix.w.data_ptr()), .m = static_cast<float*>(matrix.m.data_ptr()), .g = static_cast<const float*>(matrix.g.const_data_ptr()), .x = s.x,
                        .element = s.element, .momentum = static_cast<float>(constants.momentum), .grad_scale = static_cast<float>(matrix.grad_scale),
                        .keep = static_cast<float>(1.0 - constants.lr * constants.weight_decay), .step = static_cast<float>(step)};
  const float scale = inverse_norm(elements, size);
  iterate(s, [&] {
    elements.x = s.x;
    parallel_parts(size, kMuonChunk, [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(muon_direction)(elements, scale, begin, end); });
  });
  elements.x = s.x;
  uint16_t* const copy = matrix.copy.defined() ? static_cast<uint16_t*>(matrix.copy.data_ptr()) : nullptr;
  parallel_parts(size, kMuonChunk, [&](int64_t, int64_t begin, int64_t end) {
    constexpr int64_t kBlock = 2048;   // still in the first cache when it is copied
    for (int64_t block = begin; block < end; block += kBlock) {
      TEMPER_ISA_PICK(muon_apply)(elements, block, std::min(block + kBlock, end));
      if (copy) kernels::cpu::copy_bf16(elements.w, copy, block, std::min(block + kBlock, end));
    }
  });
}

bool fits(const MuonMatrix& matrix, at::ScalarType dtype) {
  const auto plain = [](const Tensor& t) { return t.scalar_type() == at::kFloat && t.is_contiguous(); };
  const bool copy_fits = !matrix.copy.defined() || (matrix.copy.scalar_type() == at::kBFloat16 && matrix.copy.is_contiguous());
  return copy_fits && dtype != at::kDouble && plain(matrix.w) && plain(matrix.m) && plain(matrix.g);
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
    Workspace s = workspace(static_cast<char*>(scratch.data_ptr()) + worker * bytes);
    iterate(s, [&] { std::memcpy(s.x, static_cast<const char*>(x.const_data_ptr()) + i * size, static_cast<size_t>(size)); });
    std::memcpy(static_cast<char*>(out.data_ptr()) + i * size, s.x, static_cast<size_t>(size));
  });
  return out.to(g.scalar_type());
}

const CpuKernel<Orthogonalise, &orthogonalise> orthogonalise_registered;
const CpuKernel<MuonUpdate, &muon_update> update_registered;

}  // namespace
}  // namespace temper
