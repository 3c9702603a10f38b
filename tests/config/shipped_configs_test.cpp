// The files in configs/.
#include <set>

#include "config/identity.h"
#include "config/load.h"
#include "config_test_support.h"

namespace rn::config {
namespace {

namespace fs = std::filesystem;

const std::string kFolder = RN_SOURCE_DIR "/configs";

TEST(ShippedConfigsTest, AllLoadAndHaveTheNameOfTheirFile) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(kFolder)) {
    if (entry.is_directory()) continue;
    const auto stem = entry.path().stem().string();
    EXPECT_EQ(entry.path().extension(), ".yaml") << entry.path();
    const auto message = testing_support::error_of(
        [&] { EXPECT_EQ(load_config(entry.path().string()).config.run.name, stem); });
    EXPECT_EQ(message, "no error");
    names.insert(stem);
  }
  for (const char* name : {"debug", "quickstart", "single_gpu", "swa", "train", "train_4_epochs"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

// Its accuracy stands beside PyTorch's, so it has nothing that bench/peers/torch_train.py has not.
TEST(ShippedConfigsTest, TheFourEpochRecipeIsPlain) {
  const auto long_run = load_config(kFolder + "/train.yaml").config;
  auto short_run = load_config(kFolder + "/train_4_epochs.yaml").config;
  EXPECT_EQ(long_run.train.epochs, 12);
  EXPECT_EQ(short_run.train.epochs, 4);
  EXPECT_EQ(short_run.optimizer.lr, long_run.optimizer.lr);
  EXPECT_EQ(short_run.model.stem_init, "random");
  EXPECT_EQ(short_run.optimizer.norm_bias_lr, 1);
  short_run.model.stem_init = long_run.model.stem_init;
  short_run.optimizer.norm_bias_lr = long_run.optimizer.norm_bias_lr;
  short_run.optimizer.weight_decay = long_run.optimizer.weight_decay;
  short_run.train.label_smoothing = long_run.train.label_smoothing;
  EXPECT_TRUE(identity_differences(short_run, long_run).empty());
}

TEST(ShippedConfigsTest, DebugNeedsNoDataAndFewSteps) {
  const auto config = load_config(kFolder + "/debug.yaml").config;
  EXPECT_EQ(config.data.dataset, "synthetic");
  EXPECT_LE(config.train.max_steps, 20);
  EXPECT_GT(config.train.max_steps, 0);
}

TEST(ShippedConfigsTest, TheFederatedOnesAreThoseOfTheDocumentation) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(kFolder + "/federated")) {
    EXPECT_EQ(load_config(entry.path().string()).config.run.mode, Mode::kFederated) << entry.path();
    names.insert(entry.path().stem().string());
  }
  EXPECT_EQ(names, (std::set<std::string>{"dp", "fedadam", "fedavg", "fedbuff", "fednova", "fedprox",
                                          "niid_bench", "pfl_dirichlet01", "pfl_iid", "robust", "scaffold"}));
}

}  // namespace
}  // namespace rn::config
