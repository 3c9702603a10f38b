#include "config/identity.h"

#include <set>

#include "config/derived.h"
#include "config_test_support.h"
#include "table_samples.h"

namespace rn::config {
namespace {

using namespace testing_support;

// What the contract leaves out of the identity, and where its words are of one kind.
bool outside_identity(const std::string& key) {
  static const std::set<std::string> kKeys = {"run.name",
                                              "run.dir",
                                              "federated.rounds",
                                              "federated.client_state_mib",
                                              "federated.eval_every_rounds",
                                              "federated.personal_eval_every_rounds",
                                              "federated.personal_epochs",
                                              "federated.checkpoint_every_rounds",
                                              "run.resume",
                                              "run.overwrite",
                                              "run.time_limit",
                                              "data.root",
                                              "data.storage",
                                              "data.workers",
                                              "data.prefetch",
                                              "data.on_device",
                                              "train.epochs",
                                              "train.max_steps",
                                              "train.accumulate_steps",
                                              "train.threads",
                                              "train.shards",
                                              "train.kernels",
                                              "train.replica_check_steps"};
  return kKeys.contains(key) || key.starts_with("eval.") || key.starts_with("checkpoint.") ||
         key.starts_with("dist.") || key.starts_with("report.");
}

TEST(IdentityTest, EveryOptionIsInsideOrOutsideAsTheContractSays) {
  for (const auto& option : option_table()) {
    EXPECT_EQ(option.identity, !outside_identity(option.key())) << option.key();
  }
}

TEST(IdentityTest, NamesExactlyTheKeyThatDiffersWithBothValues) {
  for (const auto& [option, value] : other_values()) {
    const auto differences = identity_differences(RunConfig{}, with(*option, value));
    if (!option->identity) {
      EXPECT_TRUE(differences.empty()) << option->key();
      continue;
    }
    // A batch per rank takes the place of the default global batch.
    const bool is_batch_per_rank = option->key() == "train.batch_per_rank";
    ASSERT_EQ(differences.size(), is_batch_per_rank ? 2u : 1u) << option->key();
    EXPECT_EQ(differences.back().key, option->key());
    EXPECT_EQ(differences.back().b, format_value(value));
  }
}

TEST(IdentityTest, ShardsAndThreadsCountWhereTheBitsDependOnThem) {
  RunConfig a, b;
  a.run.deterministic = b.run.deterministic = Determinism::kStrict;
  b.train.threads = 1;
  EXPECT_TRUE(identity_differences(a, b).empty()) << "one thread is what 0 means there";
  b.train.threads = 2;
  b.train.shards = 8;
  const auto differences = identity_differences(a, b);
  ASSERT_EQ(differences.size(), 2u);
  EXPECT_EQ(differences[0].key, "train.shards");
  EXPECT_EQ(differences[1].key, "train.threads");
  EXPECT_EQ(differences[1].a, "1");
}

TEST(IdentityTest, NamesAllDifferences) {
  RunConfig a, b;
  b.optimizer.lr = 0.5;
  b.run.seed = 3;
  const auto differences = identity_differences(a, b);
  ASSERT_EQ(differences.size(), 2u);
  EXPECT_EQ(differences[0].key, "run.seed");
  EXPECT_EQ(differences[0].a, "0");
  EXPECT_EQ(differences[0].b, "3");
  EXPECT_EQ(differences[1].key, "optimizer.lr");
  EXPECT_EQ(differences[1].a, "0.1");
  EXPECT_EQ(differences[1].b, "0.5");
}

TEST(IdentityTest, TheSameBatchWrittenTwoWaysIsTheSame) {
  RunConfig plain, given, per_rank;
  given.train.global_batch = kDefaultGlobalBatch;
  EXPECT_TRUE(identity_differences(plain, given).empty());
  per_rank.train.batch_per_rank = 32;
  EXPECT_TRUE(identity_differences(resolve_batch(plain, 4), resolve_batch(per_rank, 4)).empty());
  const auto differences = identity_differences(resolve_batch(plain, 3), resolve_batch(per_rank, 3));
  ASSERT_EQ(differences.size(), 1u);
  EXPECT_EQ(differences[0].key, "train.global_batch");
  EXPECT_EQ(differences[0].b, "96");
}

}  // namespace
}  // namespace rn::config
