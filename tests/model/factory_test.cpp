#include "model/factory.h"

#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"

namespace rn::model {
namespace {

TEST(FactoryTest, OptionsThatAModelDoesNotHaveAreConfigurationErrors) {
  struct Case {
    const char* what;
    std::function<void(ModelOptions&)> change;
    const char* in_message;
  };
  for (const Case& c : {
           Case{"name", [](ModelOptions& o) { o.name = "resnet19"; }, "resnet18"},
           Case{"stem", [](ModelOptions& o) { o.stem = "tiny"; }, "imagenet"},
           Case{"width 0", [](ModelOptions& o) { o.width = 0; }, "model.width"},
           Case{"width -1", [](ModelOptions& o) { o.width = -1; }, "model.width"},
           Case{"width huge", [](ModelOptions& o) { o.width = 1 << 30; }, "model.width"},
           Case{"groups", [](ModelOptions& o) { o.norm = Norm::kGroup, o.width = 8; },
                "model.group_norm_groups"},
           Case{"resnet9 stem", [](ModelOptions& o) { o.name = "resnet9", o.stem = "imagenet"; },
                "model.stem"},
           Case{"resnet9 zero", [](ModelOptions& o) { o.name = "resnet9", o.zero_init_residual = true; },
                "model.zero_init_residual"},
       }) {
    ModelOptions options;
    c.change(options);
    try {
      make_network(options, 10, 1, nullptr);
      ADD_FAILURE() << c.what << ": no error";
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find(c.in_message), std::string::npos) << error.what();
    }
  }
}

TEST(FactoryTest, SyncBatchNeedsACommunicator) {
  ModelOptions options;
  options.norm = Norm::kSyncBatch;
  EXPECT_THROW(make_network(options, 10, 1, nullptr), InternalError);
}

TEST(FactoryTest, NetworksStartInTrainingModeInFloat32) {
  for (const char* name : {"resnet18", "resnet9"}) {
    ModelOptions options;
    options.name = name;
    options.width = 4;
    const auto net = make_network(options, 7, 1, nullptr);
    EXPECT_TRUE(net->is_training());
    EXPECT_EQ(net->forward(torch::zeros({2, 3, 32, 32})).sizes(), (std::vector<std::int64_t>{2, 7}));
    for (const auto& parameter : net->parameters()) EXPECT_EQ(parameter.scalar_type(), torch::kFloat32);
  }
}

}  // namespace
}  // namespace rn::model
