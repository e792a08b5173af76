// `temper bench train` as it is typed.

#include <gtest/gtest.h>

#include "support/run_program.h"

namespace temper {
namespace {

test::ScriptResult bench_train(const std::string& budget) {
  return test::run_temper("bench train --model-config " + std::string(TEMPER_SOURCE_DIR) + "/configs/model/v4_12m.json --seq 16 --batch 1 --steps 1 --budget-gib " + budget);
}

TEST(BenchCommand, TakesAFractionOfAGibibyteAsABudget) {
  EXPECT_EQ(bench_train("1.5").exit_code, 0);
  const test::ScriptResult too_small = bench_train("0.05");
  EXPECT_EQ(too_small.exit_code, 6) << too_small.out;
  EXPECT_NE(too_small.out.find("the budget is 0.050 GiB"), std::string::npos) << too_small.out;
}

}  // namespace
}  // namespace temper
