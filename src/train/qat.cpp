#include "train/qat.h"

#include "kernels/quant.h"

namespace temper {

Tensor as_stored(const TensorRow& row, const Tensor& master) {
  switch (row.encoding) {
    case Encoding::kFp4Block32: return fake_quant_fp4_block(master);
    case Encoding::kFp8Block128: return fake_quant_fp8_block(master);
    case Encoding::kPlain:
    case Encoding::kNvfp4: break;   // models compute with what exports hold
  }
  return row.dtype == StoredDtype::kBF16 ? master.to(at::kBFloat16).to(master.scalar_type()) : master;
}

}  // namespace temper
