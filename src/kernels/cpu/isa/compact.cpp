#include "kernels/cpu/isa/compact.h"

#include "kernels/cpu/isa/dot_tile.h"
#include "kernels/cpu/isa/thin_columns.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

using M = CompactMatrix;
constexpr int kRows = M::kRows, kValues = M::kValues, kHalf = kValues / 2, kBlockBytes = kRows * M::kRowBytes;
constexpr int64_t kAheadBytes = 12288;   // how far ahead tiles are fetched

constexpr uint16_t kMagnitude = 0x7fff;   // without the sign

// The high byte that each nibble stands for.
void high_bytes(int first_scale, uint8_t* bytes) {
  for (int nibble = 0; nibble < 16; ++nibble) {
    const int code = nibble & 7, scale = code == 0 ? 0 : first_scale + code - 1;
    bytes[nibble] = static_cast<uint8_t>((nibble & 8) << 4 | scale);
  }
}

// Of value i of a row: the place of its low byte, and of its nibble among kValues.
constexpr int place_in_block(int i) {
  constexpr int kLaneWords = 8;
  const int word = i % kHalf;
  return word / kLaneWords * 2 * kLaneWords + i / kHalf * kLaneWords + word % kLaneWords;
}

#if defined(__AVX512BW__)

// The values of kB rows in a block as vectors: the halves of each row.
template <int kB>
struct Halves {
  __m512i v[2][kB];
};

class Unpack {
 public:
  explicit Unpack(const M& matrix) {
    alignas(64) uint8_t bytes[64];
    for (int lane = 0; lane < 4; ++lane) high_bytes(matrix.first_scale, bytes + 16 * lane);
    high_bytes_ = _mm512_load_si512(bytes);
  }

  // Rows [first, first + kB) of the block; moves the lists of their pairs past its marked values.
  template <int kB>
  [[gnu::always_inline]] inline void operator()(const uint8_t* block, int first, const uint16_t** lists, Halves<kB>& to) const {
    __mmask64 scale_0[kB], any = 0;
#pragma GCC unroll 4
    for (int j = 0; j < kB; ++j) {
      const __m512i low = _mm512_loadu_si512(block + (first + j) * kValues);
      const __m256i nibbles = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + kRows * kValues + (first + j) * kHalf));
      // Both halves, the second one's nibbles moved down.  The masks (all lanes) are for the compiler's warnings.
      const __m512i apart = _mm512_maskz_srlv_epi64(0xff, _mm512_maskz_broadcast_i64x4(0xff, nibbles), _mm512_set_epi64(4, 4, 4, 4, 0, 0, 0, 0));
      const __m512i high = _mm512_shuffle_epi8(high_bytes_, _mm512_and_si512(apart, _mm512_set1_epi8(0x0f)));
      scale_0[j] = _mm512_testn_epi8_mask(high, _mm512_set1_epi8(0x7f));
      to.v[0][j] = _mm512_unpacklo_epi8(low, high);
      to.v[1][j] = _mm512_unpackhi_epi8(low, high);
    }
#pragma GCC unroll 4
    for (int j = 0; j < kB; ++j) any |= scale_0[j];
    if (__builtin_expect(any == 0, 1)) return;
#pragma GCC unroll 8
    for (int i = 0; i < 2 * kB; ++i) {
      __m512i& half = to.v[i % 2][i / 2];
      const uint16_t*& list = lists[i / 4];
      const __m512i magnitude = _mm512_and_si512(half, _mm512_set1_epi16(kMagnitude));
      for (__mmask32 marked = _mm512_cmpeq_epi16_mask(magnitude, _mm512_set1_epi16(M::kMarked)); marked != 0; marked &= marked - 1)
        half = _mm512_mask_set1_epi16(half, marked & -marked, static_cast<short>(*list++));
    }
  }

 private:
  __m512i high_bytes_;
};

// Row j of `step`, of T::kWidth values.
template <class T, int kB>
typename T::A step_of(const Halves<kB>& block, int step, int j) {
  if constexpr (T::kWidth == kHalf) {
    return block.v[step][j];
  } else {
    alignas(64) bf16 values[kHalf];   // the compiler finds the part that it needs
    constexpr int kEach = kHalf / T::kWidth;
    _mm512_store_si512(values, block.v[step / kEach][j]);
    return T::load_b(values + step % kEach * T::kWidth);
  }
}

// Value i of a row goes to place_in_block(i).
__mmask64 make_row(const uint16_t* row, int first_scale, uint8_t* low_bytes, uint8_t* nibbles) {
  const __m512i first = _mm512_loadu_si512(row), second = _mm512_loadu_si512(row + kHalf), ff = _mm512_set1_epi16(0xff);
  __m512i low = _mm512_packus_epi16(_mm512_and_si512(first, ff), _mm512_and_si512(second, ff));
  const __m512i high = _mm512_packus_epi16(_mm512_maskz_srli_epi16(-1U, first, 8), _mm512_maskz_srli_epi16(-1U, second, 8));
  const __m512i scale = _mm512_and_si512(high, _mm512_set1_epi8(0x7f)), code = _mm512_sub_epi8(scale, _mm512_set1_epi8(static_cast<char>(first_scale - 1)));
  const __mmask64 has_code = _mm512_cmple_epu8_mask(_mm512_sub_epi8(code, _mm512_set1_epi8(1)), _mm512_set1_epi8(M::kScales - 1));
  const __mmask64 zero = _mm512_testn_epi8_mask(scale, scale) & _mm512_cmpneq_epi8_mask(low, _mm512_set1_epi8(M::kMarked));
  const __mmask64 marked = ~has_code & ~zero;
  low = _mm512_mask_mov_epi8(low, marked, _mm512_set1_epi8(M::kMarked));
  const __m512i sign = _mm512_and_si512(_mm512_maskz_srli_epi16(-1U, high, 4), _mm512_set1_epi8(8));
  const __m512i nibble = _mm512_or_si512(sign, _mm512_maskz_mov_epi8(has_code, code));
  const __m512i upper = _mm512_maskz_sllv_epi64(0xff, _mm512_maskz_shuffle_i64x2(0xff, nibble, nibble, 0x0e), _mm512_set1_epi64(4));
  _mm512_storeu_si512(low_bytes, low);
  _mm512_mask_storeu_epi32(nibbles, 0xff, _mm512_or_si512(nibble, upper));
  return marked;
}

#else

template <int kB>
struct Halves {
  bf16 v[kB][kValues];
};

class Unpack {
 public:
  explicit Unpack(const M& matrix) { high_bytes(matrix.first_scale, high_bytes_); }

  template <int kB>
  void operator()(const uint8_t* block, int first, const uint16_t** lists, Halves<kB>& to) const {
    for (int j = 0; j < kB; ++j)
      for (int i = 0; i < kValues; ++i) {
        const int place = place_in_block(i);
        const uint8_t nibbles = block[kRows * kValues + (first + j) * kHalf + place % kHalf], nibble = place < kHalf ? nibbles & 15 : nibbles >> 4;
        const uint16_t value = static_cast<uint16_t>(high_bytes_[nibble] << 8 | block[(first + j) * kValues + place]);
        to.v[j][i].bits = (value & kMagnitude) == M::kMarked ? *lists[j / 2]++ : value;
      }
  }

 private:
  uint8_t high_bytes_[16];
};

template <class T, int kB>
typename T::A step_of(const Halves<kB>& block, int step, int j) { return T::load_b(block.v[j] + step * T::kWidth); }

uint64_t make_row(const uint16_t* row, int first_scale, uint8_t* low_bytes, uint8_t* nibbles) {
  uint8_t apart[kValues];
  uint64_t all_marked = 0;
  for (int i = 0; i < kValues; ++i) {
    const int place = place_in_block(i), scale = row[i] >> 8 & 0x7f, low = row[i] & 0xff, code = scale - first_scale + 1;
    const bool has_code = code >= 1 && code <= M::kScales, zero = scale == 0 && low != M::kMarked, marked = !has_code && !zero;
    low_bytes[place] = static_cast<uint8_t>(marked ? M::kMarked : low);
    apart[place] = static_cast<uint8_t>(row[i] >> 15 << 3 | (has_code ? code : 0));
    all_marked |= uint64_t{marked} << place;
  }
  for (int place = 0; place < kHalf; ++place) nibbles[place] = static_cast<uint8_t>(apart[place] | apart[place + kHalf] << 4);
  return all_marked;
}

#endif

// Tiles of one matrix, for products with rows of a.
template <class S, class XA>
class CompactStrip {
 public:
  // The thread reads columns [.., end) of the problem, then what lies at `after` (null = nothing).
  CompactStrip(const M& matrix, int64_t first_row, int64_t end, const void* after)
      : matrix_(matrix), unpack_(matrix), first_tile_(first_row / kRows), end_((first_row + end) / kRows), after_(static_cast<const uint8_t*>(after)),
        tiles_ahead_((kAheadBytes + matrix.tile_bytes() - 1) / matrix.tile_bytes()) {}

  template <int kA>
  void operator()(const XA* const* a, bool first, int64_t column, S* sums) const {
    for (int j = 0; j < kLanes<S>; j += kRows) {
      const int64_t tile = first_tile_ + (column + j) / kRows;
      if (tile >= end_) return;   // sums of columns past the end are not written
      tile_dots<kA>(a, first, tile, sums + j);
    }
  }

 private:
  template <int kA>
  void tile_dots(const XA* const* a, bool first, int64_t tile, S* out) const {
    constexpr int L = kLanes<S>;
    if constexpr (kA * 2 > L) {
      constexpr int kHere = (kA + 1) / 2;
      tile_dots<kHere>(a, first, tile, out);
      tile_dots<kA - kHere>(a + kHere, false, tile, out + kHere * L);
    } else {
      constexpr int kB = kA * kRows <= L ? kRows : 2;
      for (int row = 0; row < kRows; row += kB) dots<kA, kB>(a, tile, row, next(first, tile) + matrix_.tile_bytes() / kRows * row, out + row);
    }
  }

  // out[i * kLanes + j] = a row i times row first_row + j of the tile.  next: bytes that are read later, as many, fetched meanwhile.
  template <int kA, int kB>
  void dots(const XA* const* a, int64_t tile, int row, const uint8_t* next, S* out) const {
    using T = Step<S, XA, bf16>;
    const uint8_t* block = at(tile);
    const uint16_t* lists[(kB + 1) / 2];
    for (int pair = 0; pair < kB / 2; ++pair) lists[pair] = matrix_.list + matrix_.list_begin[tile * M::kPairs + row / 2 + pair];
    DotSums<kA, kB, S, XA, bf16> sums;
    for (int64_t k = 0; k < matrix_.k; k += kValues, block += kBlockBytes, next += kB * M::kRowBytes) {
      Halves<kB> values;
      unpack_(block, row, lists, values);
#pragma GCC unroll 16
      for (int step = 0; step < kValues / T::kWidth; ++step) {
        typename T::A vb[kB];
#pragma GCC unroll 4
        for (int j = 0; j < kB; ++j) vb[j] = step_of<T>(values, step, j);
        sums.add([&](int i) { return a[i] + k + step * T::kWidth; }, vb);
      }
#pragma GCC unroll 8
      for (int line = 0; line < kB * M::kRowBytes; line += 64) __builtin_prefetch(next + line);
    }
    sums.write(out, kLanes<S>);
  }

  const uint8_t* at(int64_t tile) const { return matrix_.tiles + tile * matrix_.tile_bytes(); }
  const uint8_t* next(bool first, int64_t tile) const {
    if (!first) return at(tile);   // in the cache already
    const int64_t later = tile + tiles_ahead_;
    return later < end_ ? at(later) : after_ ? after_ + (later - end_) * matrix_.tile_bytes() : at(tile);
  }

  const M& matrix_;
  const Unpack unpack_;
  int64_t first_tile_, end_;
  const uint8_t* after_;
  int64_t tiles_ahead_;
};

}  // namespace

void make_compact_tile(CompactTile& t) {
  const int64_t ahead = 2 * kRows * t.k;   // two tiles: several rows at once are no sequence that the processor foresees
  uint16_t* list = t.list;
  for (int pair = 0; pair < M::kPairs; ++pair) {
    const uint16_t* const before = list;
    for (int64_t k = 0; k < t.k; k += kValues)
      for (int j = 2 * pair; j < 2 * pair + 2; ++j) {
        const uint16_t* const row = static_cast<const uint16_t*>(t.rows) + j * t.k + k;
        uint8_t* const block = t.tile + k / kValues * kBlockBytes;
        __builtin_prefetch(row + ahead), __builtin_prefetch(row + ahead + kHalf);
        const uint64_t marked = make_row(row, t.first_scale, block + j * kValues, block + kRows * kValues + j * kHalf);
        if (__builtin_expect(marked == 0, 1)) continue;
        for (int i = 0; i < kValues; ++i)
          if (marked >> place_in_block(i) & 1) *list++ = row[i];
      }
    t.n_listed[pair] = list - before;
  }
}

void thin_gemm_compact_columns(const GemmProblem& p, const CompactMatrix& matrix, int64_t first_row, int64_t begin, int64_t end, const void* after) {
  const auto columns = [&]<class XA>() { thin_columns<float, XA>(p, begin, end, CompactStrip<float, XA>(matrix, first_row, end, after)); };
  if (p.a.element == Element::kBFloat16) columns.template operator()<bf16>();
  else columns.template operator()<float>();
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
