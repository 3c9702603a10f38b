#include "federated/local_trainer.h"

#include "federation_rig.h"
#include "kernels/cpu_features.h"

namespace rn::federated::testing {
namespace {

// A limit that no gradient reaches: multiplied by 1, but in memory, so that the optimizer takes all steps.
constexpr double kNeverClips = 1e30;

RigOptions lenet(double clip_norm) {
  RigOptions options;
  options.dtype = torch::kFloat32;
  options.local.optimizer.weight_decay = 1e-3;
  options.local.clip_norm = clip_norm;
  return options;
}

TEST(LocalTrainerTest, StepsInTheBackwardPassAreThoseOfTheOptimizer) {
  Rig rig(lenet(/*clip_norm=*/0)), plain(lenet(kNeverClips));
  for (int round = 0; round < 2; ++round) {
    rig.round();
    plain.round();
    EXPECT_TRUE(plain.params.stepped().empty());
    EXPECT_EQ(rig.params.stepped().size(), kernels::avx512_available() ? 3U : 0U);  // all linear layers
  }
  // Last bits, where the optimizer's operator rounds a product that the kernel does not.
  const auto error = (rig.state.weights - plain.state.weights).norm() / plain.state.weights.norm();
  EXPECT_LT(error.item<double>(), 1e-6);
}

TEST(LocalTrainerTest, GradientsThatAreCorrectedLieInMemory) {
  for (const char* const algorithm : {"fedprox", "scaffold"}) {
    auto options = lenet(/*clip_norm=*/0);
    options.federated.algorithm = algorithm;
    options.federated.mu = options.federated.algorithm == "fedprox" ? 0.1 : 0;
    Rig rig(options);
    rig.round();
    EXPECT_TRUE(rig.params.stepped().empty()) << algorithm;
  }
}

// FedSGD's one step over all images, more of them than a batch has.
TEST(LocalTrainerTest, GradientsOfSeveralBatchesLieInMemory) {
  auto options = lenet(/*clip_norm=*/0);
  options.federated.algorithm = "fedsgd";
  options.sizes = {6, 8, 12, 15};
  Rig rig(options);
  rig.round();
  EXPECT_TRUE(rig.params.stepped().empty());
}

}  // namespace
}  // namespace rn::federated::testing
