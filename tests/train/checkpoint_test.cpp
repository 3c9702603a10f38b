#include "train/checkpoint.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "dist/single_communicator.h"
#include "model/safetensors_weights.h"
#include "sample_state.h"
#include "support/temporary_directory.h"
#include "train_testing.h"

namespace rn::train {
namespace {

using testing::same_bits;
using Sample = testing::SampleState;

// All that the walk names, by name.
class Collector : public StateVisitor {
 public:
  void storage(const std::string& file, const std::string& prefix, torch::Tensor& values) override {
    add(file + "/" + prefix + "storage", values);
  }
  void statistics(const std::string& file, const std::string& prefix, torch::Tensor& values) override {
    add(file + "/" + prefix + "statistics", values);
  }
  void tensor(const std::string& file, const std::string& name, torch::Tensor& value) override {
    add(file + "/" + name, value);
  }
  void value(const std::string& name, std::int64_t& value) override { add(name, torch::tensor(value)); }
  void value(const std::string& name, double& value) override {
    add(name, torch::tensor(value, torch::kFloat64));
  }
  std::map<std::string, torch::Tensor> found;

 private:
  void add(const std::string& name, const torch::Tensor& value) {
    EXPECT_TRUE(found.emplace(name, value.clone()).second) << name << " is walked twice";
  }
};

std::map<std::string, torch::Tensor> contents(TrainState& state) {
  Collector collector;
  state.walk(collector);
  return collector.found;
}

class CheckpointTest : public ::testing::Test {
 protected:
  void save(TrainState& state) {
    const auto snapshot = take_snapshot(state);
    folder_.save(state.progress.step, snapshot.files, snapshot.values);
  }
  // Saves what `change` made of a snapshot, restores it, and returns the error's message.
  std::string refusal(const std::function<void(StateSnapshot&)>& change) {
    Sample sample(1), other(2);
    auto snapshot = take_snapshot(sample.state);
    change(snapshot);
    folder_.save(5, snapshot.files, snapshot.values);
    try {
      restore(other.state, folder_.load(5));
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(directory_.path()), std::string::npos) << "names the folder";
      return error.what();
    }
    return "restored";
  }
  static io::CheckpointFile& file_of(StateSnapshot& snapshot, const std::string& name) {
    for (auto& file : snapshot.files) {
      if (file.name == name) return file;
    }
    throw InternalError("no file " + name);
  }
  static io::TensorView& tensor_of(StateSnapshot& snapshot, const std::string& file,
                                   const std::string& name) {
    for (auto& tensor : file_of(snapshot, file).tensors) {
      if (tensor.name == name) return tensor;
    }
    throw InternalError("no tensor " + name);
  }

  testing_support::TemporaryDirectory directory_;
  io::CheckpointFolder folder_{io::posix_file_system(), directory_ / "checkpoints"};
};

void expect_mentions(const std::string& message, const std::vector<std::string>& parts) {
  for (const auto& part : parts)
    EXPECT_NE(message.find(part), std::string::npos) << part << " is not in: " << message;
}

TEST_F(CheckpointTest, SavedAndRestoredEveryStorageAndValueHasTheSameBits) {
  Sample sample(1), other(2);
  const auto expected = contents(sample.state);
  EXPECT_GE(expected.size(), 20U);
  for (const auto& [name, value] : contents(other.state)) {
    EXPECT_FALSE(same_bits(value, expected.at(name))) << name << " would not show a difference";
  }
  save(sample.state);
  restore(other.state, folder_.load(101));
  const auto restored = contents(other.state);
  ASSERT_EQ(restored.size(), expected.size());
  for (const auto& [name, value] : expected) EXPECT_TRUE(same_bits(restored.at(name), value)) << name;
}

TEST_F(CheckpointTest, TheSnapshotIsACopyThatLaterStepsDoNotChange) {
  Sample sample(1), other(2);
  const auto expected = contents(sample.state);
  const auto snapshot = take_snapshot(sample.state);
  const torch::NoGradGuard no_grad;
  sample.params.weights.fill_(7);
  sample.scaler.scale.fill_(7);
  folder_.save(101, snapshot.files, snapshot.values);
  restore(other.state, folder_.load(101));
  EXPECT_TRUE(same_bits(contents(other.state).at("model/storage"), expected.at("model/storage")));
  EXPECT_TRUE(
      same_bits(contents(other.state).at("optimizer/loss_scale"), expected.at("optimizer/loss_scale")));
}

// Of every tensor of the state, in every file: weights in channels-last order among them.
TEST_F(CheckpointTest, ABitThatFlipsInTheCopyIsFoundAndTheOlderCheckpointStays) {
  Sample sample(1);
  save(sample.state);
  sample.state.progress.step = 202;
  for (std::size_t i = 0; i < take_snapshot(sample.state).tensors.size(); ++i) {
    const auto snapshot = take_snapshot(sample.state);
    const torch::Tensor& copy = snapshot.tensors[i];
    auto* bytes = static_cast<std::uint8_t*>(copy.data_ptr());
    bytes[i % copy.nbytes()] ^= static_cast<std::uint8_t>(1U << (i % 8));
    try {
      folder_.save(202, snapshot.files, snapshot.values);
      ADD_FAILURE() << "tensor " << i << " was saved with another bit";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kFailure);
      expect_mentions(error.what(), {".safetensors: ", "before it was copied"});
    }
    EXPECT_EQ(folder_.last(), 101);
  }
  save(sample.state);
  EXPECT_EQ(folder_.last(), 202);
}

TEST_F(CheckpointTest, RestoresIntoAnotherCutOfBuckets) {
  Sample sample(1);
  save(sample.state);
  auto net = Sample::make(4);
  dist::SingleCommunicator single;
  model::FlatParameters params(*net, single, 1 << 20);
  Sgd optimizer({}, params);
  LossScaler scaler(Precision::kFP16, torch::kCPU);
  TrainState state(params, optimizer, scaler, {.enabled = true}, {.enabled = true});
  restore(state, folder_.load(101));
  EXPECT_NE(params.layout().size(), sample.params.layout().size());
  for (const FlatEntry& entry : params.layout().entries()) {
    const auto& theirs = sample.params.layout().entry(entry.spec.name);
    EXPECT_TRUE(
        same_bits(params.view(params.weights, entry), sample.params.view(sample.params.weights, theirs)));
    EXPECT_TRUE(same_bits(params.view(optimizer.momentum, entry),
                          sample.params.view(sample.optimizer.momentum, theirs)));
  }
}

TEST_F(CheckpointTest, RefusesAMissingTensorOrFileNamingIt) {
  expect_mentions(refusal([](StateSnapshot& snapshot) {
                    std::erase_if(file_of(snapshot, "ema.safetensors").tensors,
                                  [](const auto& tensor) { return tensor.name == "layer2.0.conv1.weight"; });
                  }),
                  {"ema.safetensors", "layer2.0.conv1.weight"});
  expect_mentions(refusal([](StateSnapshot& snapshot) {
                    std::erase_if(snapshot.files,
                                  [](const auto& file) { return file.name == "swa.safetensors"; });
                  }),
                  {"swa.safetensors", "missing"});
  expect_mentions(refusal([](StateSnapshot& snapshot) {
                    std::erase_if(file_of(snapshot, "optimizer.safetensors").tensors,
                                  [](const auto& tensor) { return tensor.name == "loss_scale"; });
                  }),
                  {"optimizer.safetensors", "loss_scale"});
}

TEST_F(CheckpointTest, RefusesAnotherShapeOrTypeNamingTheTensorAndBoth) {
  expect_mentions(refusal([](StateSnapshot& snapshot) {
                    auto& tensor = tensor_of(snapshot, "model.safetensors", "fc.weight");
                    std::swap(tensor.shape[0], tensor.shape[1]);
                  }),
                  {"model.safetensors", "fc.weight", "[32, 10]", "[10, 32]"});
  expect_mentions(refusal([](StateSnapshot& snapshot) {
                    tensor_of(snapshot, "optimizer.safetensors", "momentum.fc.bias").dtype = DType::kI32;
                  }),
                  {"optimizer.safetensors", "momentum.fc.bias", "i32", "f32"});
}

TEST_F(CheckpointTest, RefusesAMissingOrOtherValueNamingIt) {
  expect_mentions(refusal([](StateSnapshot& snapshot) { snapshot.values.erase("step"); }), {"'step'"});
  expect_mentions(refusal([](StateSnapshot& snapshot) { snapshot.values["swa.snapshots"] = "many"; }),
                  {"'swa.snapshots'"});
  expect_mentions(refusal([](StateSnapshot& snapshot) { snapshot.values["best_step"] = 1.5; }),
                  {"'best_step'", "whole"});
}

TEST_F(CheckpointTest, RefusesTheCheckpointOfAnotherWidth) {
  Sample sample(1), wider(2, 8);
  save(sample.state);
  EXPECT_THROW(restore(wider.state, folder_.load(101)), DataError);
}

TEST_F(CheckpointTest, WrittenWeightsAreAWholeStateDictOfTheGivenStorage) {
  Sample sample(1), other(2);
  const std::string path = directory_ / "ema.safetensors";
  write_weights(io::posix_file_system(), path, sample.params, sample.state.ema->weights,
                sample.state.ema->statistics, 33);
  const auto file = io::read_safetensors(io::posix_file_system(), path);
  EXPECT_EQ(file.metadata.at("format"), "pt");
  EXPECT_EQ(model::testing::tensor_of(*file.find("bn1.num_batches_tracked")).item<std::int64_t>(), 33);
  model::load_weights(other.params, file, path, model::LoadMode::kStrict);
  EXPECT_TRUE(same_bits(other.params.weights, sample.state.ema->weights));
  EXPECT_TRUE(same_bits(other.params.statistics, sample.state.ema->statistics));
}

TEST(TrainStateTest, WhatIsOffIsNotInTheWalk) {
  dist::SingleCommunicator single;
  auto net = Sample::make(4);
  model::FlatParameters params(*net, single, 1 << 12);
  Sgd optimizer({}, params);
  LossScaler scaler(Precision::kFP32, torch::kCPU);
  TrainState state(params, optimizer, scaler, {}, {});
  for (const auto& [name, value] : contents(state)) {
    EXPECT_FALSE(name.starts_with("ema") || name.starts_with("swa") ||
                 name.find("loss_scale") != std::string::npos)
        << name;
  }
}

}  // namespace
}  // namespace rn::train
