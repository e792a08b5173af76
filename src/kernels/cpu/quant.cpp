#include "kernels/quant.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <atomic>

#include "kernels/cpu/isa/quant.h"
#include "kernels/cpu/parallel.h"

namespace temper {
namespace {

constexpr int64_t kGrainElements = 32768;   // fewer are not worth a second thread
constexpr int64_t kFp8Rows = 128, kFp4Rows = 1;

using Rows = void (*)(const QuantMatrix&, int64_t, int64_t, int64_t&);

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Runs `rows` over all rows of blocks; returns the number of bad values.
int64_t run(Rows rows, const QuantMatrix& m, int64_t block_rows) {
  std::atomic<int64_t> n_bad{0};
  parallel_parts(ceil_div(m.rows, block_rows), kGrainElements / std::max<int64_t>(1, block_rows * m.columns), [&](int64_t, int64_t begin, int64_t end) {
    int64_t bad = 0;
    rows(m, begin, end, bad);
    n_bad += bad;
  });
  return n_bad;
}

Tensor fake_quant(const Tensor& weight, Rows rows, int64_t block_rows) {
  expect_shape(weight, {-1, -1}, "weight");
  const Tensor wide = weight.to(at::kFloat).contiguous();
  Tensor out = at::empty_like(wide);
  run(rows, {.rows = wide.size(0), .columns = wide.size(1), .wide_stride = wide.size(1), .in = wide.const_data_ptr<float>(), .out = out.data_ptr<float>(), .codes = nullptr, .scales = nullptr, .float_scales = nullptr}, block_rows);
  return out.to(weight.scalar_type());
}

Tensor fake_quant_fp8(const Tensor& weight) { return fake_quant(weight, TEMPER_ISA_PICK(fake_quant_fp8_rows), kFp8Rows); }
Tensor fake_quant_fp4(const Tensor& weight) { return fake_quant(weight, TEMPER_ISA_PICK(fake_quant_fp4_rows), kFp4Rows); }

const DeviceKernel<FakeQuantFp8Block> fp8_registered{c10::DeviceType::CPU, &fake_quant_fp8};
const DeviceKernel<FakeQuantFp4Block> fp4_registered{c10::DeviceType::CPU, &fake_quant_fp4};

unsigned char* raw(const Tensor& tensor) { return static_cast<unsigned char*>(tensor.data_ptr()); }
// The kernels take one struct for both directions; a dequantisation only reads these.
unsigned char* raw_const(const Tensor& tensor) { return static_cast<unsigned char*>(const_cast<void*>(tensor.const_data_ptr())); }

Quantized quantize(const Tensor& weight, Rows rows, int64_t block_rows, at::ScalarType code_dtype, const Shape& code_shape, const Shape& scale_shape) {
  const Tensor wide = weight.to(at::kFloat).contiguous();
  Quantized result{.codes = at::empty(code_shape, at::TensorOptions(code_dtype)), .scales = at::empty(scale_shape, at::TensorOptions(at::ScalarType::Float8_e8m0fnu))};
  result.n_bad = run(rows, {.rows = wide.size(0), .columns = wide.size(1), .wide_stride = wide.size(1), .in = wide.const_data_ptr<float>(), .out = nullptr,
                            .codes = raw(result.codes), .scales = raw(result.scales), .float_scales = nullptr}, block_rows);
  return result;
}

Dequantized dequantize(const Tensor& codes, const Tensor& scales, Rows rows, int64_t block_rows, int64_t columns) {
  const Tensor packed = codes.contiguous(), packed_scales = scales.contiguous();
  const bool wide_scales = scales.scalar_type() == at::kFloat;
  Dequantized result{.value = at::empty({codes.size(0), columns}, at::TensorOptions(at::kFloat))};
  result.n_bad = run(rows, {.rows = codes.size(0), .columns = columns, .wide_stride = columns, .in = nullptr, .out = result.value.data_ptr<float>(),
                            .codes = raw_const(packed), .scales = wide_scales ? nullptr : raw_const(packed_scales),
                            .float_scales = wide_scales ? packed_scales.const_data_ptr<float>() : nullptr}, block_rows);
  return result;
}

}  // namespace

Quantized quantize_fp8_block(const Tensor& weight) {
  expect_shape(weight, {-1, -1}, "weight");
  const int64_t n_rows = weight.size(0), n_columns = weight.size(1);
  return quantize(weight, TEMPER_ISA_PICK(quantize_fp8_rows), kFp8Rows, at::ScalarType::Float8_e4m3fn, {n_rows, n_columns}, {ceil_div(n_rows, 128), ceil_div(n_columns, 128)});
}

Quantized quantize_fp4_block(const Tensor& weight) {
  expect_shape(weight, {-1, weight.size(-1) / 2 * 2}, "weight (an even number of columns)");
  const int64_t n_rows = weight.size(0), n_columns = weight.size(1);
  return quantize(weight, TEMPER_ISA_PICK(quantize_fp4_rows), kFp4Rows, at::kChar, {n_rows, n_columns / 2}, {n_rows, ceil_div(n_columns, 32)});
}

Dequantized dequantize_fp8_block(const Tensor& codes, const Tensor& scales) {
  expect_shape(scales, {ceil_div(codes.size(0), 128), ceil_div(codes.size(1), 128)}, "scales");
  return dequantize(codes, scales, TEMPER_ISA_PICK(dequantize_fp8_rows), kFp8Rows, codes.size(1));
}

Dequantized dequantize_fp4_block(const Tensor& codes, const Tensor& scales) {
  expect_shape(scales, {codes.size(0), ceil_div(2 * codes.size(1), 32)}, "scales");
  return dequantize(codes, scales, TEMPER_ISA_PICK(dequantize_fp4_rows), kFp4Rows, 2 * codes.size(1));
}

int64_t count_lossy_fp8_repacks(const Tensor& scales) {
  const Tensor packed = scales.contiguous();
  const unsigned char* e = raw_const(packed);
  const int64_t n_rows = packed.size(0), n_columns = packed.size(1);
  int64_t n_lossy = 0;
  for (int64_t row = 0; row < n_rows; row += 128) {
    for (int64_t column = 0; column < n_columns; column += 4) {
      int low = 255, high = 0;
      for (int64_t r = row; r < std::min(row + 128, n_rows); ++r)
        for (int64_t c = column; c < std::min(column + 4, n_columns); ++c) low = std::min<int>(low, e[r * n_columns + c]), high = std::max<int>(high, e[r * n_columns + c]);
      n_lossy += high - low > 14;
    }
  }
  return n_lossy;
}

}  // namespace temper
