#include "tensor/tensor.h"

#include <fmt/format.h>

#include "base/error.h"

namespace temper {
namespace {

struct NamedDtype {
  at::ScalarType dtype;
  std::string_view name;
};
constexpr NamedDtype kDtypes[] = {
    {at::kFloat, "float32"},   {at::kBFloat16, "bfloat16"}, {at::kDouble, "float64"}, {at::kHalf, "float16"},
    {at::kLong, "int64"},      {at::kInt, "int32"},         {at::kShort, "int16"},    {at::kChar, "int8"},
    {at::kByte, "uint8"},      {at::kBool, "bool"},         {at::ScalarType::Float8_e4m3fn, "float8_e4m3fn"},
    {at::ScalarType::Float8_e8m0fnu, "float8_e8m0fnu"},
};

}  // namespace

std::string dtype_name(at::ScalarType dtype) {
  for (const NamedDtype& row : kDtypes)
    if (row.dtype == dtype) return std::string(row.name);
  return c10::toString(dtype);
}

at::ScalarType parse_dtype(std::string_view name) {
  std::string known;
  for (const NamedDtype& row : kDtypes) {
    if (row.name == name) return row.dtype;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw Error({.kind = ErrorKind::kConfig,
               .what = fmt::format("\"{}\" is not a dtype", name),
               .where = "dtype",
               .fix = "use one of " + known});
}

std::string shape_text(at::IntArrayRef shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

void expect_shape(const Tensor& tensor, const Shape& shape, std::string_view name) {
  bool same = tensor.defined() && tensor.dim() == static_cast<int64_t>(shape.size());
  for (size_t i = 0; same && i < shape.size(); ++i) same = shape[i] < 0 || tensor.size(static_cast<int64_t>(i)) == shape[i];
  if (same) return;
  throw Error({.kind = ErrorKind::kInternal,
               .what = fmt::format("{} is {}, needed {}", name, tensor.defined() ? shape_text(tensor.sizes()) : "undefined", shape_text(shape)),
               .where = "",
               .fix = "a caller passes a wrong tensor: please report it"});
}

void expect_same_shape(std::string_view op, std::initializer_list<Tensor> tensors) {
  for (const Tensor& tensor : tensors) {
    if (tensor.sizes() == tensors.begin()->sizes()) continue;
    throw Error({.kind = ErrorKind::kInternal,
                 .what = fmt::format("{}: shapes {} and {} differ", op, shape_text(tensors.begin()->sizes()), shape_text(tensor.sizes())),
                 .where = "",
                 .fix = "a caller passes a wrong tensor: please report it"});
  }
}

at::ScalarType accumulate_dtype(at::ScalarType dtype) { return dtype == at::kDouble ? at::kDouble : at::kFloat; }
Tensor to_accumulate(const Tensor& tensor) { return tensor.to(accumulate_dtype(tensor.scalar_type())); }

}  // namespace temper
