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
  char* square[4] = {};       // [p, p] element
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
    for (int i = 1; i < 4; ++i) square[i] = take(p * p, element_size());
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

// The factor Q by which two iterations multiply x: with t = x x^T - shift I, Q = w (w + u) + v and w = b^2 + d, where b, d, u and v are polynomials
// of t, given by their coefficients of I, t, t^2 and t^3.  tools/oracle/newton_schulz_pairs.py finds them.
struct PairScheme {
  double shift;
  double b[4], d[4], u[4], v[4];
};
constexpr PairScheme kFastPair{.shift = 0.25,
                               .b = {-0.13306408901418623, 4.9256252544775361, -6.3356677093750102, 2.8955111389657957},
                               .d = {-0.59257233239367946, 0.2334144425984653, -0.90764328286951224, 0},
                               .u = {0, -2.7041221493468841, 5.9641274522834742, -3.841329609697663},
                               .v = {1.4619214012099335, -2.9023700782057684, 4.6985871689764833, -2.2792862883063529}};
constexpr PairScheme kStablePair{.shift = 1,
                                 .b = {0.55187474562918826, 0.67396115081842811, -0.2651650429449553, 0.35355339059327379},
                                 .d = {-0.30456573486328126, -0.77634573293228948, 0.201568603515625, 0},
                                 .u = {0.48639648437499999, 0.036602598677078886, -0.34537353515625002, -0.3},
                                 .v = {1, -0.48421086212403924, 0.1985158603637418, -0.32938764083478145}};

// s.sums = a b in its upper triangle, for a product that is symmetric because a and b are polynomials of one matrix or transposes of each other.
void symmetric_product(const Workspace& s, const MatrixView& a, const MatrixView& b, int64_t k) {
  gemm({GemmProblem{.m = s.p, .n = s.p, .k = k, .a = a, .b = b, .c = s.sums, .c_row = s.p, .c_element = s.sums_element(), .upper = true}});
}
void symmetric_product(const Workspace& s, const char* a, const char* b) { symmetric_product(s, s.square_view(a), s.square_view(b), s.p); }

// Polynomials of t from s.sums and `bases`.
void store_sums(const Workspace& s, std::initializer_list<const char*> bases, std::initializer_list<SymmetricOutput> outputs) {
  SymmetricSums sums{.p = s.p, .sums = s.sums, .base = {}, .output = {}, .outputs = static_cast<int>(outputs.size()), .element = s.element};
  std::copy(bases.begin(), bases.end(), sums.base);
  std::copy(outputs.begin(), outputs.end(), sums.output);
  parallel_parts((s.p + kSymmetricBlock - 1) / kSymmetricBlock, 64, [&](int64_t, int64_t begin, int64_t end) { TEMPER_ISA_PICK(symmetric_sum_rows)(sums, begin, end); });
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

// Two iterations that meet x twice, with five symmetric products in all.  Not more than two, whose polynomial would turn rounding errors of small
// eigenvalues of x x^T into large ones (docs/decisions/0005-newton-schulz-in-pairs.md).  With `near_one` Q - I is made and added, so that only a
// small part of the result is rounded.
void iterate_twice(const Workspace& s, const PairScheme& q, bool near_one) {
  const auto [t, t2, t3, b] = s.square;
  symmetric_product(s, s.wide_view(), transposed(s.wide_view()), std::max(s.rows, s.cols));
  store_sums(s, {}, {{.out = t, .unit = -q.shift, .scale = 1}});
  symmetric_product(s, t, t);
  store_sums(s, {}, {{.out = t2, .scale = 1}});
  symmetric_product(s, t, t2);
  store_sums(s, {t, t2}, {{.out = b, .unit = q.b[0], .scale = q.b[3], .keep = {q.b[1], q.b[2]}}, {.out = t3, .scale = 1, .mirrored = false}});
  symmetric_product(s, b, b);
  char *const w = t, *const w_u = t2, *const v = t3;
  const double v0 = near_one ? q.v[0] - 1 : q.v[0];
  store_sums(s, {t, t2, t3},
             {{.out = w, .unit = q.d[0], .scale = 1, .keep = {q.d[1], q.d[2], q.d[3]}},
              {.out = w_u, .unit = q.d[0] + q.u[0], .scale = 1, .keep = {q.d[1] + q.u[1], q.d[2] + q.u[2], q.d[3] + q.u[3]}},
              {.out = v, .unit = v0, .keep = {q.v[1], q.v[2], q.v[3]}, .mirrored = false}});
  symmetric_product(s, w, w_u);
  store_sums(s, {v}, {{.out = s.square[0], .scale = 1, .keep = {1}}});
  apply(s, /*add=*/near_one);
}

// x of norm 1 -> its orthogonal factor.
void iterate(const Workspace& s) {
  static_assert(kFastIterations % 2 == 0 && kStableIterations % 2 == 0);
  for (int i = 0; i < kFastIterations; i += 2) iterate_twice(s, kFastPair, /*near_one=*/false);
  for (int i = 0; i < kStableIterations; i += 2) iterate_twice(s, kStablePair, /*near_one=*/true);
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
