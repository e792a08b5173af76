#include "optim/adamw.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "support/expect_error.h"

namespace temper {
namespace {

// Printed by tools/oracle/adamw.py (torch.optim.AdamW, float64); the third weight has no gradient until step 3,
// the fourth a gradient far below the usual epsilon of 1e-8.
constexpr double kTorchAdamW[3][4] = {
    {0.48949999999999999, -0.98899999999999999, 1.998, -0.0099999999000000006},
    {0.47992357860269513, -0.9853273055191617, 1.9960020000000001, -0.0063562604181336899},
    {0.47687787758178202, -0.98885020571742666, 1.9877737670944449, -0.0063760023775861988},
};
constexpr double kGrads[3][4] = {{0.1, -0.2, 0.0, 1e-12}, {0.3, 0.1, 0.0, -2e-12}, {-0.2, 0.4, 1e3, 1e-12}};

Tensor row(const double (&values)[4], at::ScalarType dtype) { return at::tensor(at::ArrayRef<double>(values)).to(dtype); }

void run_against_torch(at::ScalarType dtype, double tolerance) {
  const double start[4] = {0.5, -1.0, 2.0, 0.0};
  Tensor w = row(start, dtype), m = at::zeros_like(w), v = at::zeros_like(w);
  for (int step = 0; step < 3; ++step) {
    AdamWTensorStep t{.w = w, .m = m, .v = v, .g = row(kGrads[step], dtype), .lr = 1e-2, .step = step + 1};
    adamw_step({&t, 1}, AdamWConfig{});
    for (int i = 0; i < 4; ++i) EXPECT_NEAR(w[i].item<double>(), kTorchAdamW[step][i], tolerance) << step << " " << i;
  }
}

TEST(AdamW, AgreesWithTorchInDouble) { run_against_torch(at::kDouble, 1e-14); }
TEST(AdamW, FusedKernelAgreesWithTorch) { run_against_torch(at::kFloat, 2e-7); }   // one rounding of values near 1

Tensor random(int64_t size, std::string_view name) {
  const RandomStream stream(1, name);
  Tensor t = at::empty({size});
  for (int64_t i = 0; i < size; ++i) t.data_ptr<float>()[i] = static_cast<float>(stream.normal(static_cast<uint64_t>(i)));
  return t;
}

TEST(AdamW, FusedKernelEqualsItsTwinForEverySizeScaleAndDecay) {
  for (const int64_t size : {1, 15, 16, 17, 32768, 40001})
    for (const bool decay : {true, false})
      for (const double grad_scale : {1.0, 0.25}) {
        AdamWTensorStep fused{.w = random(size, "w"), .m = random(size, "m"), .v = random(size, "v").abs_(), .g = random(size, "g"),
                              .lr = 3e-3, .step = 4, .grad_scale = grad_scale, .decay = decay};
        AdamWTensorStep twin = fused;
        for (Tensor* t : {&twin.w, &twin.m, &twin.v}) *t = t->clone();
        adamw_step({&fused, 1}, AdamWConfig{});
        adamw_step_reference(twin, AdamWConfig{});
        EXPECT_TRUE(at::allclose(fused.w, twin.w, 1e-6, 1e-7)) << size;
        EXPECT_TRUE(at::allclose(fused.m, twin.m, 1e-6, 1e-7)) << size;
        EXPECT_TRUE(at::allclose(fused.v, twin.v, 1e-6, 1e-7)) << size;
      }
}

// Against libtorch's own rounding, with weights of every size that bf16 has and some that it has not.
TEST(AdamW, TheCopyIsTheNewWeightRounded) {
  for (const int64_t size : {1, 33, 40001}) {
    AdamWTensorStep t{.w = random(size, "w") * random(size, "size").mul(20).exp(), .m = random(size, "m"), .v = random(size, "v").abs_(), .g = random(size, "g"),
                      .copy = at::zeros({size}, at::kBFloat16), .lr = 1e-3, .step = 2};
    AdamWTensorStep without = t;
    without.copy = Tensor();
    for (Tensor* x : {&without.w, &without.m, &without.v}) *x = x->clone();
    adamw_step({&t, 1}, AdamWConfig{});
    adamw_step({&without, 1}, AdamWConfig{});
    EXPECT_TRUE(at::equal(t.w, without.w)) << size;
    EXPECT_TRUE(at::equal(t.copy, t.w.to(at::kBFloat16))) << size;
  }
}

TEST(AdamW, ATensorsUpdateDoesNotDependOnItsNeighbours) {
  const auto make = [](int64_t size) {
    return AdamWTensorStep{.w = random(size, "w"), .m = random(size, "m"), .v = random(size, "v").abs_(), .g = random(size, "g"),
                           .lr = 1e-3, .step = 2};
  };
  std::vector<AdamWTensorStep> together = {make(70000), make(5), make(40000)};
  AdamWTensorStep alone = make(40000);
  adamw_step(together, AdamWConfig{});
  adamw_step({&alone, 1}, AdamWConfig{});
  EXPECT_TRUE(at::equal(together[2].w, alone.w));
}

TEST(AdamW, RejectsShapesThatDiffer) {
  AdamWTensorStep t{.w = random(4, "w"), .m = random(4, "m"), .v = random(4, "v"), .g = random(5, "g"), .lr = 1, .step = 1};
  EXPECT_ERROR(adamw_step({&t, 1}, AdamWConfig{}), ErrorKind::kInternal, "adamw_step");
}

}  // namespace
}  // namespace temper
