#include "kernels/cpu/isa/compact.h"

#include "kernels/cpu/isa/pack.h"
#include "kernels/cpu/isa/write_row.h"

namespace temper::TEMPER_ISA_NAMESPACE {
namespace {

using M = CompactMatrix;
constexpr int kRows = M::kRows, kHalf = kRows / 2, kPairs = M::kPairs;
constexpr int kPairValues = 2 * kRows, kNibbleBytes = kRows;   // of a pair of columns
constexpr int kVectors = kRows / kLanes<float>;                // of sums for a row of a
constexpr int kMostRowsOfA = 8;                                // at a time: their sums fit the registers
constexpr int64_t kAheadBytes = 12288;                         // how far ahead tiles are fetched
constexpr uint16_t kMagnitude = 0x7fff;                        // without the sign

// The high byte that each nibble stands for.
void high_bytes(int first_scale, uint8_t* bytes) {
  for (int nibble = 0; nibble < 16; ++nibble) {
    const int code = nibble & 7, scale = code == 0 ? 0 : first_scale + code - 1;
    bytes[nibble] = static_cast<uint8_t>((nibble & 8) << 4 | scale);
  }
}

// The place of a low byte, and of a nibble, among those of a pair of columns; value i = column i % 2 of row i / 2.
constexpr int place_in_pair(int i) {
  constexpr int kLaneWords = 8;   // of 16 bytes
  const int word = i % kRows;
  return word / kLaneWords * 2 * kLaneWords + i / kRows * kLaneWords + word % kLaneWords;
}

// The pairs of all rows of a tile, first column below.
struct Pairs {
  FullLanes v[kVectors];
};

#if defined(__AVX512BW__)

class Unpack {
 public:
  explicit Unpack(const M& matrix) {
    alignas(64) uint8_t bytes[64];
    for (int lane = 0; lane < 4; ++lane) high_bytes(matrix.first_scale, bytes + 16 * lane);
    high_bytes_ = _mm512_load_si512(bytes);
  }

  // A block's pairs of columns; moves `list` past its marked values.
  [[gnu::always_inline]] inline void operator()(const uint8_t* block, const uint16_t*& list, Pairs (&to)[kPairs]) const {
    __mmask64 scale_0[kPairs], any = 0;
#pragma GCC unroll 4
    for (int pair = 0; pair < kPairs; ++pair) {
      const __m512i low = _mm512_loadu_si512(block + pair * kPairValues);
      const __m256i nibbles = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + kPairs * kPairValues + pair * kNibbleBytes));
      // Both halves, the second one's nibbles moved down.  The masks (all lanes) are for the compiler's warnings.
      const __m512i apart = _mm512_maskz_srlv_epi64(0xff, _mm512_maskz_broadcast_i64x4(0xff, nibbles), _mm512_set_epi64(4, 4, 4, 4, 0, 0, 0, 0));
      const __m512i high = _mm512_shuffle_epi8(high_bytes_, _mm512_and_si512(apart, _mm512_set1_epi8(0x0f)));
      scale_0[pair] = _mm512_testn_epi8_mask(high, _mm512_set1_epi8(0x7f));
      to[pair].v[0] = reinterpret_cast<FullLanes>(_mm512_unpacklo_epi8(low, high));
      to[pair].v[1] = reinterpret_cast<FullLanes>(_mm512_unpackhi_epi8(low, high));
    }
#pragma GCC unroll 4
    for (int pair = 0; pair < kPairs; ++pair) any |= scale_0[pair];
    if (__builtin_expect(any == 0, 1)) return;
#pragma GCC unroll 8
    for (int i = 0; i < 2 * kPairs; ++i) {
      FullLanes& values = to[i / 2].v[i % 2];
      const __m512i magnitude = _mm512_and_si512(reinterpret_cast<__m512i>(values), _mm512_set1_epi16(kMagnitude));
      for (__mmask32 marked = _mm512_cmpeq_epi16_mask(magnitude, _mm512_set1_epi16(M::kMarked)); marked != 0; marked &= marked - 1)
        values = reinterpret_cast<FullLanes>(_mm512_mask_set1_epi16(reinterpret_cast<__m512i>(values), marked & -marked, static_cast<short>(*list++)));
    }
  }

 private:
  __m512i high_bytes_;
};

// One pair of columns; where the marked values are, by place_in_pair.
uint64_t make_pair(const Pairs& pairs, int first_scale, uint8_t* low_bytes, uint8_t* nibbles) {
  const __m512i first = reinterpret_cast<__m512i>(pairs.v[0]), second = reinterpret_cast<__m512i>(pairs.v[1]), ff = _mm512_set1_epi16(0xff);
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
  _mm512_stream_si512(reinterpret_cast<__m512i*>(low_bytes), low);   // past the caches: it is not read soon
  _mm256_stream_si256(reinterpret_cast<__m256i*>(nibbles), _mm512_maskz_extracti64x4_epi64(0xff, _mm512_or_si512(nibble, upper), 0));
  return marked;
}

#else

class Unpack {
 public:
  explicit Unpack(const M& matrix) { high_bytes(matrix.first_scale, high_bytes_); }

  void operator()(const uint8_t* block, const uint16_t*& list, Pairs (&to)[kPairs]) const {
    for (int pair = 0; pair < kPairs; ++pair) {
      uint16_t values[kPairValues];
      for (int i = 0; i < kPairValues; ++i) {
        const int place = place_in_pair(i);
        const uint8_t nibbles = block[kPairs * kPairValues + pair * kNibbleBytes + place % kNibbleBytes], nibble = place < kNibbleBytes ? nibbles & 15 : nibbles >> 4;
        const uint16_t value = static_cast<uint16_t>(high_bytes_[nibble] << 8 | block[pair * kPairValues + place]);
        values[i] = (value & kMagnitude) == M::kMarked ? *list++ : value;
      }
      __builtin_memcpy(to[pair].v, values, sizeof(values));
    }
  }

 private:
  uint8_t high_bytes_[16];
};

uint64_t make_pair(const Pairs& pairs, int first_scale, uint8_t* low_bytes, uint8_t* nibbles) {
  uint16_t values[kPairValues];
  __builtin_memcpy(values, pairs.v, sizeof(values));
  uint8_t apart[kPairValues];
  uint64_t all_marked = 0;
  for (int i = 0; i < kPairValues; ++i) {
    const int place = place_in_pair(i), scale = values[i] >> 8 & 0x7f, low = values[i] & 0xff, code = scale - first_scale + 1;
    const bool has_code = code >= 1 && code <= M::kScales, zero = scale == 0 && low != M::kMarked, marked = !has_code && !zero;
    low_bytes[place] = static_cast<uint8_t>(marked ? M::kMarked : low);
    apart[place] = static_cast<uint8_t>(values[i] >> 15 << 3 | (has_code ? code : 0));
    all_marked |= uint64_t{marked} << place;
  }
  for (int place = 0; place < kNibbleBytes; ++place) nibbles[place] = static_cast<uint8_t>(apart[place] | apart[place + kNibbleBytes] << 4);
  return all_marked;
}

#endif

// sum += a[0] * first columns + a[1] * second columns
template <class XA>
void add_pair(Vec<float>& sum, const XA* a, FullLanes pairs) {
#if defined(__AVX512BF16__)
  if constexpr (__is_same(XA, bf16)) {
    int32_t both;
    __builtin_memcpy(&both, a, sizeof(both));
    sum = reinterpret_cast<Vec<float>>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(_mm512_set1_epi32(both)), reinterpret_cast<__m512bh>(pairs)));
    return;
  }
#endif
  sum += broadcast(to_float(a[0])) * __builtin_bit_cast(Vec<float>, pairs << 16);
  sum += broadcast(to_float(a[1])) * __builtin_bit_cast(Vec<float>, pairs & 0xffff0000u);
}

// Tiles of one matrix, for products with rows of a.
template <class XA>
class Product {
 public:
  // The thread reads columns [.., end) of the problem, then what lies at `after` (null = nothing).
  Product(const GemmProblem& p, const M& matrix, int64_t first_row, int64_t end, const void* after)
      : p_(p), matrix_(matrix), unpack_(matrix), first_tile_(first_row / kRows), end_((first_row + end) / kRows), tile_bytes_(matrix.tile_bytes()),
        after_(static_cast<const uint8_t*>(after)) {}

  void columns(int64_t begin) const {
    for (int64_t tile = first_tile_ + begin / kRows; tile < end_; ++tile) {
      int64_t row = 0;
      for (; p_.m - row > kMostRowsOfA; row += kMostRowsOfA) rows<kMostRowsOfA>(row, tile);
      switch (p_.m - row) {
        case 1: rows<1>(row, tile); break;
        case 2: rows<2>(row, tile); break;
        case 3: rows<3>(row, tile); break;
        case 4: rows<4>(row, tile); break;
        case 5: rows<5>(row, tile); break;
        case 6: rows<6>(row, tile); break;
        case 7: rows<7>(row, tile); break;
        case 8: rows<8>(row, tile); break;
      }
    }
  }

 private:
  // kA rows of a from `row` on.
  template <int kA>
  void rows(int64_t row, int64_t tile) const {
    const XA* a[kA];
    for (int i = 0; i < kA; ++i) a[i] = static_cast<const XA*>(p_.a.data) + (row + i) * p_.a.row;
    const uint8_t *const here = at(tile), *const later = (row == 0 ? next(tile) : here) - tile_bytes_;   // with other rows the tile is in the cache already
    const uint16_t* list = matrix_.list + matrix_.list_begin[tile];
    Vec<float> sum[kA][kVectors];
#pragma GCC unroll 8
    for (int i = 0; i < kA; ++i)
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[i][v] = Vec<float>{};
    int64_t offset = 0;   // in the tile
    for (int64_t k = 0; k < matrix_.k; k += M::kColumns, offset += M::kBlockBytes) {
      Pairs pairs[kPairs];
      unpack_(here + offset, list, pairs);
#pragma GCC unroll 4
      for (int pair = 0; pair < kPairs; ++pair)
#pragma GCC unroll 8
        for (int i = 0; i < kA; ++i)
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v) add_pair(sum[i][v], a[i] + k + 2 * pair, pairs[pair].v[v]);
      const int64_t ahead = offset + kAheadBytes;
      const uint8_t* const fetched = (ahead < tile_bytes_ ? here : later) + ahead;
#pragma GCC unroll 6
      for (int line = 0; line < M::kBlockBytes; line += 64) __builtin_prefetch(fetched + line);
    }
    with_element(p_.c_element, [&]<class X>(X*) {
#pragma GCC unroll 8
      for (int i = 0; i < kA; ++i) {
        alignas(64) float sums[kRows];
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) store(sums + v * kLanes<float>, sum[i][v]);
        write_row(static_cast<X*>(p_.c) + (row + i) * p_.c_row + (tile - first_tile_) * kRows, sums, kRows, p_.add);
      }
    });
  }

  const uint8_t* at(int64_t tile) const { return matrix_.tiles + tile * tile_bytes_; }
  const uint8_t* next(int64_t tile) const { return tile + 1 < end_ ? at(tile + 1) : after_ ? after_ : at(tile); }

  const GemmProblem& p_;
  const M& matrix_;
  const Unpack unpack_;
  const int64_t first_tile_, end_, tile_bytes_;
  const uint8_t* const after_;
};

}  // namespace

void make_compact_tile(CompactTile& t) {
  constexpr int L = kLanes<float>;
  const uint16_t* const rows = static_cast<const uint16_t*>(t.rows);
  const uint16_t* const begin = t.list;
  uint16_t* list = t.list;
  for (int64_t k = 0; k < t.k; k += 2 * L) {
    Pairs pairs[L];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      FullLanes square[L];
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) {
        const uint16_t* const from = rows + (v * L + i) * t.k + k;
        __builtin_memcpy(&square[i], from, sizeof(square[i]));
        __builtin_prefetch(from + kRows * t.k);   // the next tile: several rows at once are no sequence that the processor foresees
      }
      transpose_square(square);
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) pairs[i].v[v] = square[i];
    }
    for (int i = 0; i < L; ++i) {
      const int64_t column = k + 2 * i;
      uint8_t* const block = t.tile + column / M::kColumns * M::kBlockBytes;
      const int64_t pair = column % M::kColumns / 2;
      const uint64_t marked = make_pair(pairs[i], t.first_scale, block + pair * kPairValues, block + kPairs * kPairValues + pair * kNibbleBytes);
      if (__builtin_expect(marked == 0, 1)) continue;
      for (int value = 0; value < kPairValues; ++value)
        if (marked >> place_in_pair(value) & 1) *list++ = rows[value / 2 * t.k + column + value % 2];
    }
  }
#if defined(__AVX512BW__)
  _mm_sfence();   // before others are told that the tile is there
#endif
  t.n_listed = list - begin;
}

void compact_gemm_columns(const GemmProblem& p, const CompactMatrix& matrix, int64_t first_row, int64_t begin, int64_t end, const void* after) {
  if (p.a.element == Element::kBFloat16) Product<bf16>(p, matrix, first_row, end, after).columns(begin);
  else Product<float>(p, matrix, first_row, end, after).columns(begin);
}

}  // namespace temper::TEMPER_ISA_NAMESPACE
