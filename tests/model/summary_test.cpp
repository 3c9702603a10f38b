#include "model/summary.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "model/factory.h"
#include "model/flat_parameters.h"
#include "model_testing.h"

namespace rn::model {
namespace {

using testing::WatchedCommunicator;

struct Totals {
  std::int64_t parameters = 0, flops = 0;
};
Totals totals(const std::vector<LayerSummary>& rows) {
  Totals sum;
  for (const auto& row : rows) sum.parameters += row.parameters, sum.flops += row.forward_flops;
  return sum;
}

TEST(SummaryTest, ListsTheLayersOfResNet18InOrder) {
  const auto net = make_network({}, 10, 1, nullptr);
  const auto rows = summarize(*net, 32, 32);
  ASSERT_EQ(rows.size(), 41U);  // 20 convolutions, 20 norms, fc
  EXPECT_EQ(rows[0].name, "conv1");
  EXPECT_EQ(rows[0].output_shape, (std::vector<std::int64_t>{1, 64, 32, 32}));
  EXPECT_EQ(rows[0].parameters, 3 * 64 * 9);
  EXPECT_EQ(rows[0].forward_flops, 2 * 3 * 64 * 9 * 32 * 32);
  EXPECT_EQ(rows[1].name, "bn1");
  EXPECT_EQ(rows[1].parameters, 128);
  EXPECT_EQ(rows[1].forward_flops, 0);
  EXPECT_EQ(rows.back().name, "fc");
  EXPECT_EQ(rows.back().output_shape, (std::vector<std::int64_t>{1, 10}));
  EXPECT_EQ(rows.back().parameters, 5130);
  EXPECT_EQ(rows.back().forward_flops, 2 * 5120);
  EXPECT_EQ(totals(rows).parameters, 11'173'962);
  EXPECT_EQ(totals(rows).flops, 2 * 555'422'720LL);
}

TEST(SummaryTest, CountsOtherModelsAndStems) {
  ModelOptions imagenet;
  imagenet.stem = "imagenet";
  const auto big = summarize(*make_network(imagenet, 1000, 1, nullptr), 224, 224);
  EXPECT_EQ(totals(big).parameters, 11'689'512);
  EXPECT_EQ(totals(big).flops,
            2 * 1'814'073'344LL);  // torchvision's table says 1.81 GFLOPS, in multiply-adds
  ModelOptions small;
  small.name = "resnet9";
  EXPECT_EQ(totals(summarize(*make_network(small, 10, 1, nullptr), 32, 32)).parameters, 6'573'120);
}

TEST(SummaryTest, ChangesNothing) {
  for (const bool training : {true, false}) {
    ModelOptions options;
    options.width = 4;
    const auto net = make_network(options, 10, 1, nullptr);
    net->train(training);
    const auto before = net->named_buffers();
    std::vector<torch::Tensor> copies;
    for (const auto& item : before) copies.push_back(item.value().clone());
    summarize(*net, 32, 32);
    EXPECT_EQ(net->is_training(), training);
    for (std::size_t i = 0; i < copies.size(); ++i) EXPECT_TRUE(before[i].value().equal(copies[i]));
    EXPECT_FALSE(
        net->forward(torch::zeros({2, 3, 32, 32})).isnan().any().item<bool>());  // callbacks are gone
  }
}

TEST(SummaryTest, CountsALinearLayerWithoutBias) {
  ModelOptions options;
  options.name = "resnet9";
  options.width = 4;
  const auto rows = summarize(*make_network(options, 10, 1, nullptr), 32, 32);
  ASSERT_EQ(rows.size(), 17U);  // 8 convolutions, 8 norms, fc
  EXPECT_EQ(rows.back().name, "fc");
  EXPECT_EQ(rows.back().output_shape, (std::vector<std::int64_t>{1, 10}));
  EXPECT_EQ(rows.back().forward_flops, 2 * 32 * 10);
}

// Weights that FlatParameters has placed are views of one tensor.
TEST(SummaryTest, WorksOnFlatParametersAndWithoutOtherRanks) {
  WatchedCommunicator communicator(/*claims_device=*/false, /*refuses_collectives=*/true);
  ModelOptions options;
  options.norm = Norm::kSyncBatch;
  options.width = 4;
  const auto net = make_network(options, 10, 1, &communicator);
  const FlatParameters params(*net, communicator, 1 << 12);
  const auto rows = summarize(*net, 32, 32);
  EXPECT_EQ(rows.size(), 41U);
  EXPECT_EQ(totals(rows).parameters, params.layout().numel());
}

}  // namespace
}  // namespace rn::model
