// Against plain PyTorch loops from the papers' formulas: tools/golden/make_federated_golden.py.
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "federation_rig.h"

namespace rn::federated::testing {
namespace {

using Json = nlohmann::json;

const Json& golden() {
  static const Json all = [] {
    std::ifstream in(RN_TEST_DATA_DIR "/federated/referee.json");
    return Json::parse(in);
  }();
  return all;
}

RigOptions options_of(const Json& o) {
  RigOptions options;
  auto& fed = options.federated;
  auto& local = options.local;
  fed.algorithm = o.at("algorithm");
  fed.weighting = o.at("weighting");
  fed.local_epochs = o.at("epochs");
  fed.local_epochs_min = o.at("epochs_min");
  fed.server_lr = o.at("server_lr");
  fed.server_momentum = o.at("server_momentum");
  fed.beta1 = o.at("beta1");
  fed.beta2 = o.at("beta2");
  fed.tau = o.at("tau");
  fed.mu = o.at("mu");
  fed.scaffold_option = o.at("scaffold_option");
  fed.bias_correction = o.at("bias_correction");
  fed.cohort = o.at("cohort");
  fed.buffer_size = o.at("buffer_size");
  fed.staleness_weight = o.at("staleness_weight");
  fed.max_staleness = o.at("max_staleness");
  fed.client_speed = golden().at("speed");
  local.optimizer.momentum = o.at("momentum");
  local.optimizer.nesterov = o.at("nesterov");
  local.optimizer.weight_decay = o.at("weight_decay");
  local.optimizer.lr = golden().at("lr");
  local.batch = golden().at("batch");
  local.seed = golden().at("seed");
  options.sizes = golden().at("sizes").get<std::vector<std::int64_t>>();
  return options;
}

class RefereeTest : public ::testing::TestWithParam<std::string> {
 protected:
  // The largest difference of the sampled weights after so many rounds.
  double difference(torch::ScalarType dtype, int rounds, const std::string& key) const {
    const Json& expected = golden().at("cases").at(GetParam());
    RigOptions options = options_of(expected.at("options"));
    options.dtype = dtype;
    Rig rig(options);
    const auto& fed = options.federated;
    const auto clients = fed.algorithm == "fedbuff" ? fed.buffer_size : std::int64_t{4};
    for (int i = 0; i < rounds; ++i) EXPECT_EQ(rig.round().clients, clients);
    const auto weights = rig.weights().to(torch::kFloat64);
    const std::int64_t stride = golden().at("stride");
    const auto values = expected.at(key).get<std::vector<double>>();
    EXPECT_EQ(static_cast<std::int64_t>(values.size()), (weights.numel() + stride - 1) / stride);
    double largest = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double ours = weights.const_data_ptr<double>()[static_cast<std::int64_t>(i) * stride];
      largest = std::max(largest, std::fabs(ours - values[i]));
    }
    return largest;
  }
};

TEST_P(RefereeTest, AgreesInFloat32After1Round) {
  EXPECT_LT(difference(torch::kFloat32, 1, "float32_1"), 1e-6);
}
TEST_P(RefereeTest, AgreesInFloat64After5Rounds) {
  EXPECT_LT(difference(torch::kFloat64, 5, "float64_5"), 1e-9);
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& item : golden().at("cases").items()) all.push_back(item.key());
  return all;
}

INSTANTIATE_TEST_SUITE_P(, RefereeTest, ::testing::ValuesIn(names()),
                         [](const auto& param) { return param.param; });

}  // namespace
}  // namespace rn::federated::testing
