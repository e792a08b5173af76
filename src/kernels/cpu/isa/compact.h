#pragma once
// bf16 matrices in 12 bits a value, without loss, for products that are limited by reading them (../../compact_weights.h).
//
// A value's low byte (a bit of the exponent, the mantissa) is kept as it is.  Of its high byte (sign, the exponent's other seven bits, here
// called the scale) a nibble is left: the sign, and 1 to 7 for the scales first_scale to first_scale + 6.  These are 14 powers of two,
// which hold all but about one of 2,000 weights of a bell curve.  0 stands for scale 0, which zeros have, and marks the values with any
// other scale: their low byte is kMarked, and they stand in a list, for each tile in the order in which products meet them.
//
// In memory: tiles of kRows rows; of each tile one block of kColumns columns after another; of each block the low bytes of its pairs of columns, one
// pair after another, then their nibbles.  So a product reads one sequence of addresses.  A pair's values are in the order in which
// unpacking low and high bytes side by side, in 16-byte lanes, gives the pairs of the first and of the second half of the rows
// (place_in_pair): what the instruction for pairs of bf16 takes, one row in each lane.

#include "kernels/cpu/isa/gemm.h"

namespace temper {

struct CompactMatrix {
  static constexpr int64_t kRows = 32, kColumns = 8, kPairs = kColumns / 2, kBlockBytes = kRows * kColumns * 3 / 2;
  static constexpr int64_t kColumnsUnit = 32;   // k is a multiple of it
  static constexpr uint8_t kMarked = 1;         // low byte
  static constexpr int kScales = 7, kMostScale = 128 - kScales;

  int64_t k = 0;              // columns
  int first_scale = 0;        // 1 to kMostScale
  const uint8_t* tiles = nullptr;
  const uint32_t* list_begin = nullptr;   // of each tile, its first one in the list
  const uint16_t* list = nullptr;

  int64_t tile_bytes() const { return k / kColumns * kBlockBytes; }
};

/// kRows rows of k bf16 each, one after another, as the tile `tile`; its marked values in `list` (kRows * k at most), and how many there are.
struct CompactTile {
  const void* rows;
  int64_t k;
  int first_scale;
  uint8_t* tile;
  uint16_t* list;
  int64_t n_listed;
};
TEMPER_ISA_FUNCTION(make_compact_tile, CompactTile& tile)

/// Columns [begin, end) of c, for b = the rows of `matrix` from first_row on, which problem.b stands for; all three are multiples of kRows, a is bf16 or
/// fp32.  Sums run over ascending k, as those of packed products (gemm.h).  after: as in thin_gemm_columns (thin_gemm.h).
TEMPER_ISA_FUNCTION(compact_gemm_columns, const GemmProblem& problem, const CompactMatrix& matrix, int64_t first_row, int64_t begin, int64_t end, const void* after)

}  // namespace temper
