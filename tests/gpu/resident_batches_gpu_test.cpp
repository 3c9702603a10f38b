// The kernel that makes batches against the loader's workers: the same bits for every crop, flip and cutout.
#include "data/synthetic_dataset.h"
#include "gpu_testing.h"
#include "train/resident_batches.h"
#include "train/step_plan.h"

namespace rn::train {
namespace {

constexpr std::int64_t kImages = 40;

class ResidentBatchesGpuTest : public rn::testing::GpuTest {
 protected:
  const data::ImageSet images = data::make_synthetic(kImages, data::SyntheticSplit::kTrain, /*seed=*/1);
};

TEST_F(ResidentBatchesGpuTest, HoldWhatTheLoaderDelivers) {
  for (const auto crop_mode : {data::CropMode::kReflect, data::CropMode::kZero}) {
    for (const int cutout : {0, 9}) {
      for (const int padding : {0, 4}) {
        SCOPED_TRACE(::testing::Message() << "crop mode " << static_cast<int>(crop_mode) << ", padding "
                                          << padding << ", cutout " << cutout);
        const data::AugmentOptions augment{
            .crop_padding = padding, .crop_mode = crop_mode, .flip = data::Flip::kRandom, .cutout = cutout};
        const PlanShape shape{kImages, /*global_batch=*/16, gpu().world_size(), 1, /*drop_last=*/false};
        constexpr std::int64_t kSteps = 6;  // two epochs of 16, 16 and 8 images
        StepPlan plan(shape, /*seed=*/5, augment, images.height, images.width);
        StepPlan same(shape, /*seed=*/5, augment, images.height, images.width);
        data::PrefetchLoader loader(images, augment, 1, 2, plan.requests(gpu().rank(), 0, kSteps));
        LoaderBatches expected(loader, images.channels, images.height, images.width, torch::kCPU,
                               torch::kFloat32);
        ResidentBatches actual(images, augment, same.requests(gpu().rank(), 0, kSteps), device(),
                               torch::kFloat32);
        for (std::int64_t step = 0; step < kSteps; ++step) {
          const Batch a = actual.next();
          const Batch b = expected.next();
          EXPECT_TRUE(a.images.is_cuda());
          EXPECT_EQ(a.count, b.count);
          EXPECT_TRUE(torch::equal(a.images.cpu(), b.images)) << "step " << step;
          EXPECT_EQ(a.images.strides(), b.images.strides()) << "channels-last";
          EXPECT_TRUE(torch::equal(a.labels.cpu(), b.labels));
        }
      }
    }
  }
}

}  // namespace
}  // namespace rn::train
