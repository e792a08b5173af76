#include "tensor/profile.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "support/expect_error.h"

namespace temper {
namespace {

void wait_ms(int n) { std::this_thread::sleep_for(std::chrono::milliseconds(n)); }

double of(const Profile::Rows& rows, const char* part, const char* work) {
  const auto found = rows.find({part, work});
  return found == rows.end() ? 0.0 : found->second;
}

TEST(ProfileTest, ASecondBelongsToTheInnermostPieceAndAllRowsAddUp) {
  const auto start = std::chrono::steady_clock::now();
  Profile profile;
  {
    const ProfilePart part("attention");
    const ProfileWork outer("linear");
    wait_ms(5);
    const ProfileWork inner("allocation");
    wait_ms(20);
  }
  const Profile::Rows rows = profile.rows();
  const double whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_GE(of(rows, "attention", "linear"), 0.005);
  EXPECT_GE(of(rows, "attention", "allocation"), 0.020);
  double sum = 0;
  for (const auto& [place, seconds] : rows) sum += seconds;
  EXPECT_LE(sum, whole);
  EXPECT_GE(sum, 0.025);
}

TEST(ProfileTest, WithoutAProfileNothingIsKeptAndClearForgets) {
  { const ProfileWork work("linear"); }
  Profile profile;
  {
    const ProfilePart part("ffn");
    wait_ms(1);
  }
  profile.clear();
  EXPECT_EQ(of(profile.rows(), "ffn", "other"), 0.0);
}

TEST(ProfileTest, OneAtATime) {
  Profile profile;
  EXPECT_ERROR(Profile{}, ErrorKind::kInternal, "second profile");
}

}  // namespace
}  // namespace temper
