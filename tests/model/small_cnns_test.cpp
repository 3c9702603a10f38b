#include "model/small_cnns.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/random.h"
#include "model/factory.h"

namespace rn::model {
namespace {

std::shared_ptr<Network> make(const std::string& name) {
  ModelOptions options;
  options.name = name;
  return make_network(options, 10, /*seed=*/3, nullptr);
}

std::int64_t parameters(const Network& net) {
  std::int64_t count = 0;
  for (const auto& parameter : net.parameters()) count += parameter.numel();
  return count;
}

TEST(SmallCnnsTest, HaveTheParametersOfTheirModels) {
  EXPECT_EQ(parameters(*make("pfl_cnn")), 1626442);
  EXPECT_EQ(parameters(*make("lenet")), 62006);
  EXPECT_TRUE(make("pfl_cnn")->named_parameters().contains("8.weight"));
  EXPECT_TRUE(make("lenet")->named_parameters().contains("fc3.bias"));
  for (const char* name : {"pfl_cnn", "lenet"}) {
    EXPECT_EQ(make(name)->forward(torch::rand({2, 3, 32, 32})).sizes(), (std::vector<std::int64_t>{2, 10}));
  }
}

TEST(SmallCnnsTest, StartAsTheirModelsDo) {
  const auto pfl = make("pfl_cnn"), lenet = make("lenet");
  const double glorot = std::sqrt(6.0 / (3 * 9 + 32 * 9)), fan_in = 1 / std::sqrt(3.0 * 25);
  const double ours = pfl->named_parameters()["1.weight"].abs().max().item<double>();
  EXPECT_LE(ours, glorot);
  EXPECT_GT(ours, 0.95 * glorot);
  const double other = lenet->named_parameters()["conv1.weight"].abs().max().item<double>();
  EXPECT_LE(other, fan_in);
  EXPECT_GT(other, 0.9 * fan_in);
}

TEST(SmallCnnsTest, RefuseOptionsThatTheyDoNotHave) {
  for (const char* name : {"pfl_cnn", "lenet"}) {
    ModelOptions options;
    options.name = name;
    options.width = 32;
    EXPECT_THROW(make_network(options, 10, 1, nullptr), ConfigError);
    options = {};
    options.name = name;
    options.zero_init_residual = true;
    EXPECT_THROW(make_network(options, 10, 1, nullptr), ConfigError);
  }
}

// A network that is one dropout.
class Dropout final : public Network {
 public:
  torch::Tensor forward(torch::Tensor input) override { return dropout(input, 0.25); }
};

TEST(DropoutTest, DropsTheShareAndKeepsTheMean) {
  Dropout net;
  net.set_dropout_key(9);
  const auto out = net.forward(torch::ones({400, 1001}));
  EXPECT_NEAR(out.eq(0).to(torch::kFloat64).mean().item<double>(), 0.25, 0.003);
  EXPECT_NEAR(out.mean().item<double>(), 1, 0.003);
  EXPECT_NEAR(out.max().item<double>(), 1 / 0.75, 1e-6);
}

// Runs must stay reproducible between releases.
TEST(DropoutTest, SixteenBitsOfTheStreamDecideAnElement) {
  for (const std::int64_t size : {1, 2, 2047, 2048, 2049, 5001}) {
    Dropout net;
    net.set_dropout_key(9);
    const auto out = net.forward(torch::ones({size}));
    CounterRandom random(9, Purpose::kDropout, 0, 0);
    std::uint32_t bits = 0;
    for (std::int64_t i = 0; i < size; ++i) {
      bits = i % 2 == 0 ? random.next() : bits >> 16;
      ASSERT_EQ(out[i].item<float>() == 0, (bits & 0xffff) < 0x4000) << "element " << i << " of " << size;
    }
  }
}

TEST(DropoutTest, IsAFunctionOfKeyAndCallAndNothingWhileEvaluating) {
  Dropout net;
  const auto input = torch::ones({64, 64});
  net.set_dropout_key(9);
  const auto first = net.forward(input), second = net.forward(input);
  net.set_dropout_key(9);
  EXPECT_TRUE(torch::equal(net.forward(input), first));
  EXPECT_TRUE(torch::equal(net.forward(input), second));
  EXPECT_FALSE(torch::equal(first, second));
  net.set_dropout_key(10);
  EXPECT_FALSE(torch::equal(net.forward(input), first));
  net.eval();
  EXPECT_TRUE(torch::equal(net.forward(input), input));
}

}  // namespace
}  // namespace rn::model
