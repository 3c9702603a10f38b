// data.storage: images that stay in the set's files give the run that images in memory give.
#include "app_fixture.h"

namespace rn::app_testing {
namespace {

class StorageTest : public AppTest {};

TEST_F(StorageTest, TrainingFromFilesGivesTheBitsOfTrainingFromMemory) {
  const Words changes = {"data.validation=7", "data.workers=2"};
  train_well("memory", changes);
  train_well("files", changes + Words{"data.storage=files"});
  train_well("files2", changes + kGroupNorm + Words{"data.storage=files"}, 2);
  train_well("memory2", changes + kGroupNorm, 2);
  EXPECT_EQ(losses("files").size(), losses("memory").size());
  for (const std::string ranks : {"", "2"}) {
    EXPECT_EQ(losses("files" + ranks), losses("memory" + ranks));
    EXPECT_TRUE(read("files" + ranks + "/model.safetensors") ==
                read("memory" + ranks + "/model.safetensors"));
  }
}

// Files are what a federated run chooses by itself; a checkpoint of one serves the other.
TEST_F(StorageTest, AFederatedRunGoesOnFromMemoryOrFilesAlike) {
  const Words changes = {"run.mode=federated",   "federated.rounds=3",
                         "federated.clients=10", "federated.cohort=6",
                         "optimizer.momentum=0", "optimizer.nesterov=false",
                         "train.global_batch=2", "federated.checkpoint_every_rounds=1",
                         "optimizer.lr=0.01",    "checkpoint.keep=100"};
  train_well("files", changes);
  train_well("memory", changes + Words{"data.storage=memory"}, 2);
  train_well("resumed", changes + Words{"data.storage=memory", "run.resume=files/checkpoints/1"});
  for (const std::string run : {"memory", "resumed"}) {
    EXPECT_TRUE(read(run + "/model.safetensors") == read("files/model.safetensors")) << run;
  }
}

TEST_F(StorageTest, WhatCannotStayInFilesIsRefused) {
  const auto refused = [this](const Words& words, const std::string& message) {
    const auto result = call(train("run", words + Words{"data.storage=files"}));
    EXPECT_EQ(result.code, 2);
    EXPECT_NE(result.err.find(message), std::string::npos) << result.err;
  };
  refused({"data.dataset=synthetic"}, "data.storage: only CIFAR-10's images can stay in their files");
  refused({"data.on_device=true"}, "data.on_device: takes the images from memory");
}

}  // namespace
}  // namespace rn::app_testing
