#include "kernels/cpu/isa.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace temper {
namespace {

TEST(ChooseIsa, TakesTheBestUnlessTold) {
  EXPECT_EQ(choose_isa(nullptr), available_isas().back());
  EXPECT_EQ(choose_isa(""), available_isas().back());
  for (const Isa isa : available_isas()) EXPECT_EQ(choose_isa(isa_name(isa)), isa);
}

TEST(ChooseIsa, RejectsUnknownNames) { EXPECT_ERROR(choose_isa("sse9"), ErrorKind::kConfig, "\"sse9\" is not an instruction set"); }

TEST(ForceIsa, ReturnsToThePreviousOne) {
  const Isa before = isa();
  {
    const ForceIsa force(Isa::kPlain);
    EXPECT_EQ(isa(), Isa::kPlain);
  }
  EXPECT_EQ(isa(), before);
}

}  // namespace
}  // namespace temper
