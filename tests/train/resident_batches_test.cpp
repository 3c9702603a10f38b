// Batches from images that lie on the device, run here on the CPU: all but the launch of the kernel.
#include "train/resident_batches.h"

#include "train/step_plan.h"
#include "train_testing.h"

namespace rn::train {
namespace {

constexpr int kSide = 16;

class ResidentBatchesTest : public ::testing::Test {
 protected:
  // What rank `rank` of two trains on in the first steps: 20 images in batches of 8 and a last one of 4.
  data::PrefetchLoader::Plan requests(int rank) { return plan.requests(rank, 0, kSteps); }

  static constexpr std::int64_t kSteps = 6;
  const data::ImageSet images = testing::random_images(20, 7, kSide);
  const data::AugmentOptions augment{.crop_padding = 3, .cutout = 5};
  StepPlan plan{{images.size, /*global_batch=*/8, /*ranks=*/2, /*accumulate=*/2, /*drop_last=*/false},
                /*seed=*/5,
                augment,
                kSide,
                kSide};
};

TEST_F(ResidentBatchesTest, HoldWhatTheLoaderDeliversInItsOrder) {
  for (const auto dtype : {torch::kFloat32, torch::kFloat64}) {
    for (int rank = 0; rank < 2; ++rank) {
      data::PrefetchLoader loader(images, augment, /*workers=*/1, /*prefetch=*/2, requests(rank));
      LoaderBatches expected(loader, 3, kSide, kSide, torch::kCPU, dtype);
      auto resident_plan = plan;
      ResidentBatches actual(images, augment, resident_plan.requests(rank, 0, kSteps), torch::kCPU, dtype);
      for (std::int64_t shard = 0; shard < 2 * kSteps; ++shard) {
        SCOPED_TRACE(::testing::Message() << "rank " << rank << ", shard " << shard);
        const Batch a = actual.next();
        const Batch b = expected.next();
        EXPECT_EQ(a.count, b.count);
        EXPECT_TRUE(torch::equal(a.images, b.images));
        EXPECT_EQ(a.images.strides(), b.images.strides()) << "channels-last";
        EXPECT_EQ(a.images.scalar_type(), dtype);
        EXPECT_TRUE(torch::equal(a.labels, b.labels));
      }
      EXPECT_THROW(actual.next(), InternalError) << "the plan has ended";
    }
  }
}

TEST_F(ResidentBatchesTest, AShardWithoutSamplesIsEmpty) {
  ResidentBatches batches(images, augment, [] { return data::ShardRequest{}; }, torch::kCPU, torch::kFloat32);
  const Batch batch = batches.next();
  EXPECT_EQ(batch.count, 0);
  EXPECT_EQ(batch.images.sizes(), (std::vector<std::int64_t>{0, 3, kSide, kSide}));
  EXPECT_EQ(batch.labels.numel(), 0);
}

TEST_F(ResidentBatchesTest, WithoutDrawsImagesAreOnlyNormalised) {
  data::ShardRequest request;
  request.indices = {3, 3, 19};
  ResidentBatches batches(images, augment, [&] { return request; }, torch::kCPU, torch::kFloat32);
  const auto expected = data::make_batch(images, augment, request);
  const auto flat = batches.next().images.permute({0, 2, 3, 1}).contiguous();
  EXPECT_EQ(std::vector<float>(flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()),
            expected.images);
}

TEST_F(ResidentBatchesTest, KeepItsOwnCopyOfTheImages) {
  auto passing = std::make_unique<data::ImageSet>(images);
  data::ShardRequest request;
  request.indices = {1, 2};
  ResidentBatches batches(*passing, augment, [&] { return request; }, torch::kCPU, torch::kFloat32);
  const auto before = batches.next();
  std::fill(passing->pixels.begin(), passing->pixels.end(), std::uint8_t{0});
  std::fill(passing->labels.begin(), passing->labels.end(), std::uint8_t{0});
  const auto after = batches.next();
  EXPECT_TRUE(torch::equal(before.images, after.images));
  EXPECT_TRUE(torch::equal(before.labels, after.labels));
}

TEST_F(ResidentBatchesTest, AnImageOutsideTheSetIsABrokenInvariant) {
  data::ShardRequest request;
  for (const std::int64_t index : {std::int64_t{-1}, std::int64_t{20}}) {
    request.indices = {0, index};
    ResidentBatches batches(images, augment, [&] { return request; }, torch::kCPU, torch::kFloat32);
    EXPECT_THROW(batches.next(), InternalError);
  }
}

}  // namespace
}  // namespace rn::train
