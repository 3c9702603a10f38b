#include "core/error.h"

#include <gtest/gtest.h>

namespace rn {
namespace {

TEST(ErrorTest, CarriesTheExitCodeOfItsKind) {
  EXPECT_EQ(InternalError("x").code(), ExitCode::kFailure);
  EXPECT_EQ(ConfigError("x").code(), ExitCode::kUsage);
  EXPECT_EQ(EnvironmentError("x").code(), ExitCode::kEnvironment);
  EXPECT_EQ(DataError("x").code(), ExitCode::kData);
  EXPECT_EQ(NonFiniteError("x").code(), ExitCode::kNonFinite);
  EXPECT_EQ(ReplicaError("x").code(), ExitCode::kReplicasDiffer);
  EXPECT_EQ(PeerLostError("x").code(), ExitCode::kPeerLost);
}

TEST(ErrorTest, AFailedCheckSaysWhereAndWhy) {
  const int ranks = 3;
  try {
    RN_CHECK(ranks == 4, "got ", ranks, " ranks");
    FAIL() << "RN_CHECK let a broken invariant pass";
  } catch (const InternalError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("error_test.cpp:"), std::string::npos) << message;
    EXPECT_NE(message.find("ranks == 4 does not hold: got 3 ranks"), std::string::npos) << message;
  }
}

TEST(ErrorTest, ACheckThatHoldsEvaluatesItsMessageNever) {
  int evaluations = 0;
  RN_CHECK(true, ++evaluations);
  EXPECT_EQ(evaluations, 0);
}

TEST(ErrorTest, CatJoinsValuesOfAnyKind) {
  EXPECT_EQ(cat("rank ", 3, " of ", 4L, ", ", 0.5), "rank 3 of 4, 0.5");
}

}  // namespace
}  // namespace rn
