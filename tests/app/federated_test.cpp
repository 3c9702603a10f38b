// Federated runs from outside: the same bits at any rank count and after any cut.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

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
                    FederatedCase{"fedbuff",
                                  {"federated.algorithm=fedbuff", "federated.buffer_size=3",
                                   "federated.speed_sigma=1", "federated.dropout=0.1", "model.norm=batch"}},
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

// Killed amid rounds and writes, with rows of clients on disk.
TEST_F(FederatedRunTest, AKilledRunGoesOnToTheSameBits) {
  const Words changes =
      federated({"federated.algorithm=scaffold", "federated.rounds=40", "federated.client_state_mib=0.05",
                 "federated.eval_every_rounds=0", "checkpoint.keep=2"});
  train_well("whole", changes);
  auto process = start(train("killed", changes));
  ASSERT_TRUE(reaches_checkpoint(process, "killed"));
  process.send(SIGKILL);
  EXPECT_NE(process.wait().code, 0);
  const auto last = last_checkpoint("killed");
  EXPECT_LT(last, 40);
  train_well("killed", changes);
  EXPECT_TRUE(read("killed/model.safetensors") == read("whole/model.safetensors")) << "cut at " << last;
  EXPECT_EQ(events("killed", "round").size(), 40u);
  EXPECT_FALSE(std::filesystem::exists(path("killed/client_state")));
}

TEST_F(FederatedRunTest, ACheckpointThatCannotBeWrittenEndsTheRunOnlyIfSoConfigured) {
  for (const bool stops : {false, true}) {
    const std::string run = stops ? "stop" : "continue";
    const Words changes = federated({"federated.rounds=4000", "federated.eval_every_rounds=0",
                                     "federated.checkpoint_every_rounds=25", "checkpoint.keep=2",
                                     cat("checkpoint.on_error=", run)});
    auto process = start(train(run, changes));
    ASSERT_TRUE(reaches_checkpoint(process, run));
    std::filesystem::rename(path(run), path(run + ".moved"));
    if (!stops) {  // it goes on, and is asked to stop once it has noticed
      const auto failed = [&] {
        const auto all = events(run + ".moved", "checkpoint");
        return std::count_if(all.begin(), all.end(),
                             [](const Json& each) { return each.at("written") == false; });
      };
      for (int i = 0; i < 1200 && process.is_running() && failed() == 0; ++i) usleep(50'000);
      EXPECT_GE(failed(), 1);
      process.send(SIGUSR1);
    }
    const auto result = process.wait();
    EXPECT_EQ(result.code, 1) << result.text();
    EXPECT_NE(result.err.find("the checkpoint of round "), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("was deleted or moved"), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find("training goes on") != std::string::npos, !stops) << result.err;
    EXPECT_FALSE(std::filesystem::exists(path(run)));
    EXPECT_EQ(call({"eval", run + ".moved"}).code, 0);
  }
}

TEST_F(FederatedRunTest, DryRunTellsClientsTrafficAndCostAndTouchesNothing) {
  const auto says = [&](const Words& changes, const std::vector<std::string>& parts) {
    Words words = train("run", federated(changes));
    words.push_back("--dry-run=2");
    words.push_back("data.root=nowhere");
    const auto result = call(words);
    EXPECT_EQ(result.code, 0) << result.text();
    for (const auto& part : parts) {
      EXPECT_NE(result.out.find(part), std::string::npos) << part << " is not in\n" << result.out;
    }
  };
  const Words pfl = {"model.name=pfl_cnn",  "model.width=64",        "federated.clients=1000",
                     "federated.cohort=50", "train.global_batch=10", "federated.client_samples=50"};
  says(pfl, {"parameters      1626442", "1000 (iid), images of each 50\n", "50 a round (uniform)",
             "5 of a client, batch 10; 250 in the first round", "client state    none",
             "310.2 MiB down and 310.2 MiB up in the first round; of a client 6.2 MiB and 6.2 MiB",
             "2: at most 1250 images on one in the first round, 0 % of their time idle"});
  says(pfl + Words{"federated.algorithm=scaffold"},
       {"of a client 12.4 MiB and 12.4 MiB", "client state    6.2 MiB per client that has taken part"});
  says(pfl + Words{"federated.algorithm=fedbuff", "federated.buffer_size=8"},
       {"50 in flight, 8 updates make a server step", "older weights", "40 in the first server step"});
  says(pfl + Words{"federated.client_samples=0", "federated.partition=dirichlet_class",
                   "federated.clients=20", "federated.cohort=4"},
       {"(least, median, most); taking all classes as equally large"});
  says(pfl + Words{"federated.partition=file", "federated.partition_file=nowhere.txt",
                   "federated.client_samples=0"},
       {"images of each 50; taken as equal: partition_file is not read"});
  EXPECT_FALSE(std::filesystem::exists(path("run")));
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
