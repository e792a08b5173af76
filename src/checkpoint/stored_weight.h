#pragma once
// One tensor of the model as the files of a folder hold it: elements, or codes with scales.  Its dtypes and shapes decide how
// it is read, never config.json.

#include <optional>

#include "checkpoint/safetensors.h"
#include "model/deepseek_v4/tensor_map.h"

namespace temper {

///   weight  its elements or codes; with `expert` >= 0 that expert's rows of a fused tensor [E, rows, columns], from first_row
///   scale   of block encodings
///   factor  of kNvfp4: one F32 number for the matrix
struct StoredWeight {
  SafetensorsFolder::Entry weight{};
  std::optional<SafetensorsFolder::Entry> scale, factor;
  Encoding encoding = Encoding::kPlain;
  int64_t expert = -1, first_row = 0;

  /// Sets `encoding`.  Error{kCheckpoint} if what is stored cannot be this row: it names the tensor, what was found and what is
  /// needed, and the format it comes from if that is known.
  void recognise(const TensorRow& row);
  /// The smallest dtype that holds the values exactly.
  at::ScalarType exact_dtype(const TensorRow& row) const;
  /// Rows [begin, end): WeightSource::read_rows.
  Tensor read_rows(const TensorRow& row, int64_t begin, int64_t end) const;
  void release_rows(const TensorRow& row, int64_t begin, int64_t end) const;
};

/// BF16, F16, F32, F64.
bool is_float(StoredDtype dtype);
/// "F32 [2, 3]"
std::string text_of(const StoredTensor& tensor);

}  // namespace temper
