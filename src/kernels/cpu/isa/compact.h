#pragma once
// bf16 matrices in 12 bits a value, without loss, for products that are limited by reading them (../../compact_weights.h).
//
// A value's low byte (a bit of the exponent, the mantissa) is kept as it is.  Of its high byte (sign, the exponent's other seven bits, here
// called the scale) a nibble is left: the sign, and 1 to 7 for the scales first_scale to first_scale + 6.  These are 14 powers of two,
// which hold all but about one of 2,000 weights of a bell curve.  0 stands for scale 0, which zeros have, and marks the values with any
// other scale: their low byte is kMarked, and they stand in a list, for each pair of rows in the order in which products meet them.
//
// In memory: tiles of kRows rows; of each tile one block after another of kValues columns; of each block kValues low bytes of each row, then kValues / 2
// bytes of nibbles of each row.  A product reads one sequence of addresses.  Inside a block values are in the order in which unpacking low
// and high bytes side by side, in 16-byte lanes, gives the first and the second half of the row (place_in_block).

#include "kernels/cpu/isa/gemm.h"

namespace temper {

struct CompactMatrix {
  static constexpr int64_t kRows = 4, kValues = 64, kRowBytes = kValues * 3 / 2;   // of a block
  static constexpr int64_t kPairs = kRows / 2;   // of rows in a tile
  static constexpr uint8_t kMarked = 1;   // low byte

  int64_t k = 0;              // columns, a multiple of kValues
  int first_scale = 0;        // 1 to kMostScale
  const uint8_t* tiles = nullptr;
  const uint32_t* list_begin = nullptr;   // of each pair of rows, its first one in the list
  const uint16_t* list = nullptr;

  static constexpr int kScales = 7, kMostScale = 128 - kScales;
  int64_t tile_bytes() const { return kRows * k * 3 / 2; }
};

/// kRows rows of k bf16 each, one after another, as the tile `tile`; its marked values in `list` (kRows * k at most), n_listed of each pair.
struct CompactTile {
  const void* rows;
  int64_t k;
  int first_scale;
  uint8_t* tile;
  uint16_t* list;
  int64_t n_listed[CompactMatrix::kPairs];
};
TEMPER_ISA_FUNCTION(make_compact_tile, CompactTile& tile)

/// thin_gemm_columns (thin_gemm.h) for b = the rows of `matrix` from first_row on (a multiple of kRows), which problem.b stands for: the same bits.
/// a bf16 or fp32; begin, end and problem.n are multiples of kRows.
TEMPER_ISA_FUNCTION(thin_gemm_compact_columns, const GemmProblem& problem, const CompactMatrix& matrix, int64_t first_row, int64_t begin, int64_t end, const void* after)

}  // namespace temper
