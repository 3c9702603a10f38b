#include <gtest/gtest.h>

#include "core/error.h"
#include "dist/agreement.h"
#include "dist/mpi_communicator.h"
#include "dist/single_communicator.h"

namespace rn::dist {
namespace {

std::string message_of(Communicator& communicator, const std::vector<AgreementItem>& items) {
  try {
    check_agreement(communicator, items);
    return "";
  } catch (const EnvironmentError& e) {
    return e.what();
  }
}

TEST(AgreementTest, EqualItemsPass) {
  MpiCommunicator communicator;
  EXPECT_EQ(message_of(communicator, {}), "");
  EXPECT_EQ(message_of(communicator, {{"version", "0.1.0"}, {"train.lr", "0.1"}, {"empty", ""}}), "");
  EXPECT_EQ(message_of(communicator, {{"a long value", std::string(300'000, 'x')}}), "");
}

TEST(AgreementTest, ACommunicatorOfOneAlwaysAgrees) {
  SingleCommunicator communicator;
  EXPECT_EQ(message_of(communicator, {{"version", "0.1.0"}}), "");
}

TEST(AgreementTest, ADifferenceNamesTheItemTheValuesAndTheRanksOnEveryRank) {
  MpiCommunicator communicator;
  const int world = communicator.world_size();
  const int rank = communicator.rank();
  const std::string text = message_of(communicator, {{"version", "0.1.0"},
                                                     {"train.lr", rank == 0 ? "0.1" : "0.2"},
                                                     {"data manifest", rank == world - 1 ? "beef" : "cafe"}});
  if (world == 1) {
    EXPECT_EQ(text, "");
    return;
  }
  const std::string others = world == 2 ? "rank 1 has" : cat("ranks 1-", world - 1, " have");
  EXPECT_NE(text.find(cat("train.lr: rank 0 has 0.1; ", others, " 0.2")), std::string::npos) << text;
  EXPECT_NE(text.find(cat("data manifest: rank 0 has cafe; rank ", world - 1, " has beef")),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("version"), std::string::npos) << text;
}

TEST(AgreementTest, AnItemOfSomeRanksOnlyIsADifference) {
  MpiCommunicator communicator;
  const int world = communicator.world_size();
  std::vector<AgreementItem> items{{"version", "0.1.0"}};
  if (communicator.rank() == 1) items.push_back({"parameter fc.bias", "[10]"});
  const std::string text = message_of(communicator, items);
  if (world == 1) {
    EXPECT_EQ(text, "");
    return;
  }
  EXPECT_NE(text.find("parameter fc.bias: rank 0 has nothing; rank 1 has [10]"), std::string::npos) << text;
}

TEST(AgreementTest, ManyDifferencesAreCut) {
  MpiCommunicator communicator;
  std::vector<AgreementItem> items;
  for (int i = 0; i < 100; ++i) items.push_back({cat("item ", i), cat(communicator.rank())});
  const std::string text = message_of(communicator, items);
  if (communicator.world_size() == 1) {
    EXPECT_EQ(text, "");
    return;
  }
  EXPECT_NE(text.find("and 80 more"), std::string::npos) << text;
}

TEST(AgreementTest, HashesAreSixteenDigits) { EXPECT_EQ(hash_text(0xabcU), "0000000000000abc"); }

}  // namespace
}  // namespace rn::dist
