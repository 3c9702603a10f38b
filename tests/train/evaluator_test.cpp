#include "train/evaluator.h"

#include <gtest/gtest.h>

#include <limits>

#include "dist/single_communicator.h"
#include "train_testing.h"

namespace rn::train {
namespace {

EvalResult empty_result(std::int64_t classes) {
  EvalResult result;
  result.classes = classes;
  result.confusion.assign(static_cast<std::size_t>(classes * classes), 0);
  return result;
}

EvalResult count_one(const std::vector<float>& scores, std::int64_t label) {
  auto result = empty_result(static_cast<std::int64_t>(scores.size()));
  result.loss_sum = count_batch(torch::tensor(scores).unsqueeze(0), &label, result);
  return result;
}

TEST(EvaluatorTest, TiesGoToTheLowerClassIndex) {
  EXPECT_EQ(count_one({1, 2, 2, 0}, 1).top1, 1);
  EXPECT_EQ(count_one({1, 2, 2, 0}, 2).top1, 0);
  const std::vector<float> all_equal(8, 0.25F);
  for (std::int64_t label = 0; label < 8; ++label) {
    const auto result = count_one(all_equal, label);
    EXPECT_EQ(result.top1, label == 0 ? 1 : 0) << label;
    EXPECT_EQ(result.top5, label < 5 ? 1 : 0) << label;
    EXPECT_EQ(result.confusion[static_cast<std::size_t>(label * 8)], 1) << "all are predicted as class 0";
  }
}

TEST(EvaluatorTest, TopFiveCountsTheFiveHighest) {
  const std::vector<float> scores = {9, 1, 8, 2, 7, 3, 6};  // ranks 0 6 1 5 2 4 3
  const std::vector<std::int64_t> expected = {1, 0, 1, 0, 1, 1, 1};
  for (std::int64_t label = 0; label < 7; ++label) {
    EXPECT_EQ(count_one(scores, label).top5, expected[static_cast<std::size_t>(label)]) << label;
  }
}

TEST(EvaluatorTest, PaddingCountsNothing) {
  const auto logits = torch::randn({4, 6});
  const std::vector<std::int64_t> labels = {2, -1, 5, -1};
  auto padded = empty_result(6), plain = empty_result(6);
  const double padded_loss = count_batch(logits, labels.data(), padded);
  const std::vector<std::int64_t> real = {2, 5};
  const double plain_loss = count_batch(torch::stack({logits[0], logits[2]}), real.data(), plain);
  EXPECT_EQ(padded, plain);
  EXPECT_EQ(padded.n, 2);
  EXPECT_EQ(padded_loss, plain_loss);
}

TEST(EvaluatorTest, TheLossIsPyTorchsCrossEntropyAndTheConfusionMatrixAddsUp) {
  torch::manual_seed(2);
  const auto logits = torch::randn({200, 10}) * 20;  // far apart: the exponentials need the largest taken off
  const auto labels = torch::randint(0, 10, {200});
  auto result = empty_result(10);
  const double loss = count_batch(logits, labels.const_data_ptr<std::int64_t>(), result);
  const double expected = cross_entropy_sum(logits.to(torch::kFloat64), labels, 0).item<double>();
  EXPECT_NEAR(loss, expected, 1e-6 * expected);
  EXPECT_EQ(result.n, 200);
  const auto predicted = logits.argmax(1);
  EXPECT_EQ(result.top1, predicted.eq(labels).sum().item<std::int64_t>());
  EXPECT_EQ(result.top5, std::get<1>(logits.topk(5)).eq(labels.unsqueeze(1)).sum().item<std::int64_t>());
  auto confusion = torch::zeros({10, 10}, torch::kInt64);
  for (int i = 0; i < 200; ++i)
    confusion[labels[i].item<std::int64_t>()][predicted[i].item<std::int64_t>()] += 1;
  EXPECT_TRUE(torch::tensor(result.confusion).view({10, 10}).equal(confusion));
}

TEST(EvaluatorTest, LogitsThatAreNotNumbersNeverCountAsRight) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (std::int64_t label = 0; label < 3; ++label) {
    const auto all = count_one({nan, nan, nan}, label), one = count_one({nan, 1, 2}, label);
    EXPECT_EQ(all.n, 1);
    EXPECT_EQ(all.top1 + all.top5 + one.top1 + one.top5, 0) << "label " << label;
    EXPECT_TRUE(std::isnan(all.loss_sum));
  }
}

TEST(EvaluatorTest, AnEmptySplitIsAnEmptyResult) {
  dist::SingleCommunicator single;
  auto net = model::make_network(testing::narrow_resnet(model::Norm::kGroup), testing::kClasses, 1, nullptr);
  const auto result = evaluate(*net, testing::random_images(0, 1), single,
                               {data::AugmentOptions{}, data::DataOptions{}, EvalOptions{}});
  EXPECT_EQ(result.n, 0);
  EXPECT_EQ(result.top1_percent(), 0);
  EXPECT_EQ(result.loss(), 0);
}

}  // namespace
}  // namespace rn::train
