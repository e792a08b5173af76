#pragma once
// bf16 weights a second time in 12 bits a value, without loss, for decoding: its products take as long as reading their weights, and so
// read a quarter less.  CPU only.

#include <memory>
#include <vector>

#include "tensor/tensor.h"

namespace temper {

struct CompactMatrix;

/// Threads: add() from one, with the team's threads (team.h); reading from any.
class CompactWeights {
 public:
  /// False where no time is won: without vectors of 512 bits unpacking takes longer than reading.
  static bool pays();

  CompactWeights();
  ~CompactWeights();
  CompactWeights(CompactWeights&&) noexcept;
  CompactWeights& operator=(CompactWeights&&) noexcept;

  /// weight [.., O, I], bf16 on the CPU, contiguous, with O and I multiples of 32.  From now on it must neither change nor be
  /// freed while this is in use.  False, and products go on to read the weight itself, for another weight and for one whose values are
  /// spread over too many powers of two.
  bool add(const Tensor& weight);
  int64_t bytes() const;

  /// While it lives, products of the calling thread read compact weights where there are some.
  class InUse {
   public:
    explicit InUse(const CompactWeights& weights);
    ~InUse();
    InUse(const InUse&) = delete;
    InUse& operator=(const InUse&) = delete;

   private:
    const CompactWeights* previous_;
  };

  /// Rows of k values that begin at `data`: rows of `matrix` from first_row on; null = not here, or none in use.
  struct Rows {
    const CompactMatrix* matrix = nullptr;
    int64_t first_row = 0;
  };
  static Rows find_in_use(const void* data, int64_t k);

 private:
  struct Entry;
  struct Place {
    const char* begin;   // of a weight
    size_t bytes;
    const CompactMatrix* matrix;
  };
  std::vector<std::unique_ptr<Entry>> entries_;
  std::vector<Place> places_;   // by rising address
};

}  // namespace temper
