// Runs on a folder of PNG files whose size and classes are not CIFAR-10's.
#include <cmath>
#include <filesystem>

#include "app_fixture.h"
#include "core/error.h"
#include "data/png_writer.h"

namespace rn::app_testing {
namespace {

namespace fs = std::filesystem;

constexpr int kHeight = 20, kWidth = 27;
const Words kFolder = {"data.dataset=folder", "data.root=pictures"};
const Words kTraining = kFolder + kGroupNorm + Words{"train.global_batch=8", "optimizer.lr=0.02"};

class FolderDataTest : public AppTest {
 protected:
  // 24 training and 9 test images of three classes, stripes of different widths; eight a class and three.
  FolderDataTest() {
    const char* classes[] = {"broad", "fine", "middling"};
    for (int label = 0; label < 3; ++label) {
      for (int i = 0; i < 11; ++i) {
        std::vector<std::uint8_t> rgb;
        for (int k = 0; k < kHeight * kWidth; ++k) {
          const double stripe = std::sin((k % kWidth + i) * (0.4 + 0.5 * label));
          for (int c = 0; c < 3; ++c)
            rgb.push_back(static_cast<std::uint8_t>(128 + 90 * stripe + (k * 7 + c) % 11));
        }
        const std::string folder = cat("pictures/", i < 8 ? "train/" : "test/", classes[label]);
        fs::create_directories(path(folder));
        data::write_png(path(cat(folder, "/", i, ".png")), kWidth, kHeight, rgb);
      }
    }
  }
};

TEST_F(FolderDataTest, TrainsEvaluatesAndAgreesOnAnyRankCount) {
  train_well("alone", kTraining);
  const auto expected = losses("alone");
  EXPECT_EQ(expected.size(), 9u);
  EXPECT_LT(expected.at(9), expected.at(1)) << "stripes are learned in no time";
  for (const int ranks : {2, 3}) {
    const std::string run = cat("np", ranks);
    train_well(run, kTraining, ranks);
    for (const auto& [step, loss] : losses(run))
      EXPECT_NEAR(loss, expected.at(step), 1e-5) << ranks << " ranks";
  }
  train_well("plain", kTraining + Words{"train.kernels=torch"});
  for (const auto& [step, loss] : losses("plain"))
    EXPECT_NEAR(loss, expected.at(step), 1e-4) << "step " << step;

  const auto evaluated = call({"eval", "alone", "--json"}, 2);
  ASSERT_EQ(evaluated.code, 0) << evaluated.text();
  const auto result = Json::parse(evaluated.out);
  EXPECT_EQ(result.at("n"), 9);
  EXPECT_EQ(result.at("confusion").size(), 9u);
  EXPECT_EQ(result.at("top1"), events("alone", "eval").back().at("top1"));
  const auto told = call({"eval", "alone"});
  EXPECT_NE(told.out.find("middling"), std::string::npos) << told.text();
}

TEST_F(FolderDataTest, EveryResNetTakesAnySize) {
  const Words one_step = kFolder + Words{"train.max_steps=1", "train.global_batch=8"};
  train_well("bf16", one_step + Words{"train.precision=bf16"});
  for (const char* stem : {"cifar", "imagenet"}) {
    const Words resnet18 = {"model.name=resnet18", cat("model.stem=", stem)};
    train_well(stem, one_step + resnet18);
    train_well(cat(stem, "_bf16"), one_step + resnet18 + Words{"train.precision=bf16"});
    train_well(cat(stem, "_33"), one_step + resnet18 + Words{"data.image_size=33", "train.precision=bf16"});
  }
}

TEST_F(FolderDataTest, DryRunCountsTheFilesOfTheFolder) {
  const auto result = call(train("run", kFolder + Words{"--dry-run", "data.validation=4"}));
  ASSERT_EQ(result.code, 0) << result.text();
  EXPECT_NE(result.out.find("20 to train on, as listed in pictures, less 4 held out; 3 x 20 x 27"),
            std::string::npos)
      << result.out;
  EXPECT_NE(result.out.find("1x4x20x27"), std::string::npos) << result.out;
}

TEST_F(FolderDataTest, AnotherSizeIsAnotherRun) {
  train_well("run", kTraining + Words{"train.max_steps=2"});
  const auto result = call(train("run", kTraining + Words{"data.image_size=16", "train.max_steps=4"}));
  EXPECT_EQ(result.code, 2) << result.text();
  EXPECT_NE(result.err.find("data.image_size"), std::string::npos) << result.err;
}

TEST_F(FolderDataTest, BrokenImagesEndTheRunBeforeItBegins) {
  write("pictures/train/fine/3.png", "no picture");
  for (const int ranks : {0, 2}) {
    const auto result = call(train("run", kFolder), ranks);
    EXPECT_EQ(result.code, 4) << result.text();
    const std::string words = "pictures/train/fine/3.png is neither a PNG nor a JPEG file";
    const auto at = result.err.find(words);
    ASSERT_NE(at, std::string::npos) << result.err;
    EXPECT_EQ(result.err.find(words, at + 1), std::string::npos) << "said twice: " << result.err;
    EXPECT_FALSE(fs::exists(path("run")));
  }
}

TEST_F(FolderDataTest, WhatAModelCannotTakeIsToldInItsTerms) {
  const auto expect_refused = [&](const Words& changes, const std::string& words) {
    const auto result = call(train("run", kFolder + changes));
    EXPECT_EQ(result.code, 2) << result.text();
    EXPECT_NE(result.err.find(words), std::string::npos) << result.err;
  };
  expect_refused({"model.name=lenet"}, "lenet takes images of 32 x 32 and these are 20 x 27");
  expect_refused({"data.image_size=7"}, "resnet9 takes images from 8 x 8 on");
  expect_refused({"augment.crop_padding=20"}, "augment.crop_padding");
  expect_refused({"data.validation=24"}, "data.validation");
  expect_refused({"data.root="}, "data.root");
}

TEST_F(FolderDataTest, FederatedClientsShareAFolder) {
  const Words federated =
      kTraining + Words{"run.mode=federated",   "federated.rounds=2",         "federated.clients=4",
                        "federated.cohort=3",   "federated.partition=labels", "federated.labels_per_client=2",
                        "optimizer.momentum=0", "optimizer.nesterov=false"};
  train_well("alone", federated);
  train_well("two", federated, 2);
  EXPECT_EQ(read("alone/model.safetensors"), read("two/model.safetensors"));
}

}  // namespace
}  // namespace rn::app_testing
