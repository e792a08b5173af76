#include "train/qat.h"

#include "kernels/quant.h"

namespace temper {

Tensor as_stored(const TensorRow& row, const Tensor& master) {
  switch (row.stored) {
    case StoredFormat::kFp4Block32: return fake_quant_fp4_block(master);
    case StoredFormat::kFp8Block128: return fake_quant_fp8_block(master);
    case StoredFormat::kBf16: return master.to(at::kBFloat16).to(master.scalar_type());
    case StoredFormat::kF32:
    case StoredFormat::kI64: return master;
  }
  return master;
}

}  // namespace temper
