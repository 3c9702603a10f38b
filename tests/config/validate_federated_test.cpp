// The rules of `federated:`, each with its message and a neighbour that is good.
#include "config/validate.h"
#include "config_test_support.h"

namespace rn::config {
namespace {

using namespace testing_support;

struct FederatedRule {
  const char* broken;  // inside federated: {...}
  const char* message;
  const char* kept;
};

void PrintTo(const FederatedRule& rule, std::ostream* out) { *out << rule.broken; }

std::string error_with(const std::string& federated) {
  return load_error("run: {mode: federated}\nfederated: {" + federated + "}");
}

class FederatedRuleTest : public ::testing::TestWithParam<FederatedRule> {};

TEST_P(FederatedRuleTest, NamesTheKeyAndTheWayOut) {
  const auto error = error_with(GetParam().broken);
  EXPECT_NE(error.find(GetParam().message), std::string::npos) << error;
}
TEST_P(FederatedRuleTest, LeavesItsNeighbourAlone) { EXPECT_EQ(error_with(GetParam().kept), "no error"); }

const FederatedRule kRules[] = {
    {"partition: dirichlet_class, alpha: 0",
     "federated.alpha: '0' is out of range; allowed: a number above 0",
     "partition: dirichlet_class, alpha: 0.1"},
    {"partition: dirichlet_class, alpha: -1", "federated.alpha: '-1' is out of range",
     "partition: quantity, alpha: 9"},
    {"clients: 5, cohort: 6", "federated.cohort: 6 clients of a round are more than federated.clients: 5",
     "clients: 5, cohort: 5"},
    {"cohort: 2.5", "neither a share below 1 nor a whole number", "cohort: 0.5"},
    {"clients: 10, cohort: 8, over_selection: 1.5", "federated.over_selection",
     "clients: 12, cohort: 8, over_selection: 1.5"},
    {"server_momentum: 0.5", "federated.server_momentum: belongs to federated.algorithm: fedavgm, not fedavg",
     "algorithm: fedavgm, server_momentum: 0.5"},
    {"algorithm: fedadam, mu: 0.1",
     "federated.mu: belongs to federated.algorithm: fedprox or fednova or feddyn",
     "algorithm: fedprox, mu: 0.1"},
    {"algorithm: fedprox", "federated.mu: must be above 0", "algorithm: fednova"},
    {"alpha: 0.1", "federated.alpha: belongs to federated.partition",
     "partition: dirichlet_client, alpha: 0.1"},
    {"algorithm: scaffold, aggregation: median", "federated.aggregation: is not defined for",
     "aggregation: median"},
    {"algorithm: feddyn, mu: 0.1", "federated.weighting: feddyn averages",
     "algorithm: feddyn, mu: 0.1, weighting: uniform"},
    {"privacy: central, clip_update: 1", "federated.weighting: a weight by samples",
     "privacy: central, clip_update: 1, weighting: uniform"},
    {"privacy: central, weighting: uniform", "federated.clip_update: must be above 0",
     "privacy: local, weighting: uniform, clip_update: 2"},
    {"clip_update: 1", "federated.clip_update: belongs to", "aggregation: norm_clip, clip_update: 1"},
    {"byzantine: 2", "federated.byzantine: belongs to", "byzantine: 2, attack: sign_flip"},
    {"partition: file", "federated.partition_file: is missing", "partition: file, partition_file: a/b"},
    {"buffer_size: 3", "federated.buffer_size: belongs to federated.algorithm: fedbuff, not fedavg",
     "algorithm: fedbuff, buffer_size: 3, staleness_weight: none, max_staleness: 5"},
    {"algorithm: fedbuff, clients: 9, cohort: 2, buffer_size: 10",
     "10 updates of different clients are more than federated.clients: 9",
     "algorithm: fedbuff, clients: 10, cohort: 2, buffer_size: 10"},
    {"algorithm: fedbuff, sampling: poisson", "federated.sampling: fedbuff keeps a fixed number",
     "algorithm: fedbuff, sampling: by_size"},
    {"algorithm: fedbuff, over_selection: 2", "federated.over_selection: fedbuff waits for no cohort",
     "algorithm: fedbuff, dropout: 0.1"},
    {"algorithm: fedbuff, round_deadline: 9", "federated.round_deadline: fedbuff has no rounds",
     "algorithm: fedbuff, straggler: 0.1"},
    {"algorithm: fedbuff, aggregation: median", "federated.aggregation: fedbuff weighs updates",
     "algorithm: fedbuff, aggregation: norm_clip, clip_update: 1"},
    {"algorithm: fedbuff, privacy: central, weighting: uniform, clip_update: 1",
     "federated.privacy: the accountant's sampling", "algorithm: fedbuff, weighting: uniform"},
    {"algorithm: fedbuff, secure_aggregation: true", "federated.secure_aggregation: masks cancel",
     "algorithm: fedbuff, compression: top_k"},
    {"local_steps: 5, local_epochs: 2", "federated.local_epochs: is given together", "local_steps: 5"},
    {"secure_aggregation: true, aggregation: krum",
     "federated.secure_aggregation: shows the server sums only", "secure_aggregation: true"},
};

INSTANTIATE_TEST_SUITE_P(, FederatedRuleTest, ::testing::ValuesIn(kRules));

TEST(FederatedRulesTest, OtherSectionsThatAreNotUsedAreRefused) {
  const auto error = load_error(
      "run: {mode: federated}\nema: {enabled: true}\ntrain: {batch_per_rank: 4, cuda_graph: true}\ndata: "
      "{on_device: true}");
  EXPECT_NE(error.find("ema.enabled: is not used in federated runs"), std::string::npos) << error;
  EXPECT_NE(error.find("train.batch_per_rank: a client's batch"), std::string::npos) << error;
  EXPECT_NE(error.find("train.cuda_graph: is not used in federated runs"), std::string::npos) << error;
  EXPECT_NE(error.find("data.on_device: is not used in federated runs"), std::string::npos) << error;
}

TEST(FederatedRulesTest, TrainingRunsDoNotLookAtThem) {
  EXPECT_EQ(load_error("federated: {clients: 5, cohort: 50}"), "no error");
}

}  // namespace
}  // namespace rn::config
