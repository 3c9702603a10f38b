// Federated runs from outside: the same bits at any rank count and after any cut.
#include <signal.h>
#include <unistd.h>

#include "app_fixture.h"
#include "core/error.h"

namespace rn::app_testing {
namespace {

// 10 clients of 5 images each, 6 of them a round; a change takes the place of the word with its key.
Words federated(const Words& changes = {}) {
  Words words = {"run.mode=federated",
                 "federated.rounds=4",
                 "federated.clients=10",
                 "federated.cohort=6",
                 "federated.checkpoint_every_rounds=1",
                 "train.global_batch=2",
                 "optimizer.lr=0.01",
                 "optimizer.momentum=0",
                 "optimizer.nesterov=false",
                 "checkpoint.keep=100"};
  const auto key_of = [](const std::string& word) { return word.substr(0, word.find('=')); };
  for (const auto& change : changes) {
    std::erase_if(words, [&](const std::string& word) { return key_of(word) == key_of(change); });
    words.push_back(change);
  }
  return words;
}

struct FederatedCase {
  const char* name;
  Words changes;
};

void PrintTo(const FederatedCase& value, std::ostream* out) { *out << value.name; }

class FederatedExactTest : public AppTest, public testing::WithParamInterface<FederatedCase> {
 protected:
  void expect_same_end(const std::string& part, const std::string& whole) const {
    const auto ours = tensors(part, 4), theirs = tensors(whole, 4);
    ASSERT_EQ(ours.size(), theirs.size());
    for (const auto& [name, bytes] : theirs) {
      EXPECT_TRUE(ours.at(name) == bytes) << part << ": " << name << " differs from that of " << whole;
    }
    EXPECT_TRUE(read(part + "/model.safetensors") == read(whole + "/model.safetensors")) << part;
    EXPECT_EQ(events(part, "round").back().at("train_loss"), events(whole, "round").back().at("train_loss"));
  }
};

TEST_P(FederatedExactTest, EndsWithTheSameBitsAtAnyRankCountAndAfterACut) {
  const Words changes = federated(GetParam().changes);
  train_well("whole", changes);
  EXPECT_EQ(events("whole", "round").size(), 4u);
  for (const int ranks : {2, 4}) {
    const std::string run = cat("np", ranks);
    train_well(run, changes, ranks);
    expect_same_end(run, "whole");
  }
  // Cut after round 2 on one rank, resumed on two and on one.
  for (const int ranks : {0, 2}) {
    const std::string run = cat("cut", ranks);
    train_well(run, changes + Words{"run.resume=whole/checkpoints/2"}, ranks);
    expect_same_end(run, "whole");
    EXPECT_EQ(events(run, "round").size(), 2u);
  }
}

INSTANTIATE_TEST_SUITE_P(
    , FederatedExactTest,
    testing::Values(FederatedCase{"fedavg", {"model.norm=batch"}},
                    FederatedCase{"fedadam", {"federated.algorithm=fedadam", "federated.server_lr=0.01"}},
                    FederatedCase{"scaffold",
                                  {"federated.algorithm=scaffold", "federated.dropout=0.2",
                                   "federated.client_state_mib=0.05"}},
                    FederatedCase{"feddyn_bn",
                                  {"federated.algorithm=feddyn", "federated.mu=0.1",
                                   "federated.weighting=uniform", "federated.local_norms=true"}},
                    FederatedCase{"top_k", {"federated.compression=top_k", "federated.top_k=0.1"}},
                    FederatedCase{"median",
                                  {"federated.aggregation=median", "federated.attack=sign_flip",
                                   "federated.byzantine=2"}},
                    FederatedCase{"secure", {"federated.secure_aggregation=true"}},
                    FederatedCase{"dropout_net", {"model.name=pfl_cnn", "model.width=64"}},
                    FederatedCase{"private",
                                  {"federated.privacy=central", "federated.weighting=uniform",
                                   "federated.clip_update=0.5", "federated.adaptive_clip=true",
                                   "federated.noise_multiplier=0.1"}}),
    [](const auto& param) { return param.param.name; });

class FederatedRunTest : public AppTest {};

TEST_F(FederatedRunTest, StopsOnRequestAndTheSameCommandGoesOn) {
  const Words changes = federated({"federated.rounds=60", "checkpoint.keep=2"});
  auto process = start(train("cut", changes), 2);
  for (int i = 0; i < 600 && last_checkpoint("cut") < 2; ++i) usleep(100000);
  process.send(SIGUSR1);
  const auto result = process.wait();
  ASSERT_EQ(result.code, 75) << result.text();
  EXPECT_LT(last_checkpoint("cut"), 60);
  train_well("cut", changes, 2);
  EXPECT_EQ(events("cut", "round").size(), 60u);
  EXPECT_EQ(events("cut", "run_start").size(), 2u);
}

TEST_F(FederatedRunTest, RecordsAndSummarySpeakOfRounds) {
  train_well("run", federated());
  const auto rounds = events("run", "round");
  ASSERT_EQ(rounds.size(), 4u);
  for (std::size_t i = 0; i < rounds.size(); ++i) {
    EXPECT_EQ(rounds[i].at("round"), i + 1);
    EXPECT_EQ(rounds[i].at("clients"), 6);
    EXPECT_GT(rounds[i].at("bytes_up"), 0);
    EXPECT_GT(rounds[i].at("seconds"), 0);
    EXPECT_EQ(rounds[i].contains("top1"), i + 1 < rounds.size());
  }
  EXPECT_EQ(Json::parse(read("run/summary.json")).at("rounds"), 4);
  const auto evaluated = call({"eval", "run", "--json"});
  EXPECT_EQ(evaluated.code, 0) << evaluated.text();
}

TEST_F(FederatedRunTest, AnExplodingUpdateStopsWithItsRoundAndClient) {
  const auto result = call(train("run", federated({"federated.on_bad_update=stop", "optimizer.lr=1e20"})), 2);
  EXPECT_EQ(result.code, 5) << result.text();
  EXPECT_NE(result.text().find("round 1, client "), std::string::npos) << result.text();
}

TEST_F(FederatedRunTest, ImpossibleOptionsAreUsageErrors) {
  for (const char* wrong : {"federated.cohort=11", "federated.mu=0.1", "federated.partition=labels"}) {
    const auto result = call(train("run", federated({wrong, "federated.labels_per_client=11"})));
    EXPECT_EQ(result.code, 2) << wrong << ": " << result.text();
  }
}

}  // namespace
}  // namespace rn::app_testing
