#include "config/load.h"

#include "config_test_support.h"

namespace rn::config {
namespace {

using namespace testing_support;

TEST(LoadTest, AFileChangesOnlyWhatItNames) {
  const auto config = load("optimizer: {lr: 0.25}\n");
  EXPECT_EQ(config.optimizer.lr, 0.25);
  EXPECT_EQ(config.optimizer.momentum, RunConfig{}.optimizer.momentum);
  EXPECT_EQ(config.train.epochs, RunConfig{}.train.epochs);
}

TEST(LoadTest, TheCommandLineBeatsTheFileAndTheFileItsBase) {
  const TempFolder folder;
  const auto base = folder.write(
      "bases/base.yaml", "optimizer: {lr: 1, momentum: 0.1, weight_decay: 0.01}\nrun: {name: base}\n");
  const auto path = folder.write("a.yaml", "optimizer: {lr: 2, momentum: 0.2}\nextends: bases/base.yaml\n");
  const auto loaded = load_config(path, {"optimizer.lr=3"});
  EXPECT_EQ(loaded.config.optimizer.lr, 3);
  EXPECT_EQ(loaded.config.optimizer.momentum, 0.2);
  EXPECT_EQ(loaded.config.optimizer.weight_decay, 0.01);
  EXPECT_EQ(loaded.config.run.name, "base");
  EXPECT_EQ(describe(loaded.origin("optimizer.lr")), "command line");
  EXPECT_EQ(describe(loaded.origin("optimizer.momentum")), path + ":1:30");
  EXPECT_EQ(describe(loaded.origin("optimizer.weight_decay")), base + ":1:49 (extended)");
  EXPECT_EQ(describe(loaded.origin("optimizer.nesterov")), "default");
}

TEST(LoadTest, ABaseMayExtendAnother) {
  const TempFolder folder;
  folder.write("one.yaml", "train: {epochs: 1, max_steps: 1}\nrun: {seed: 1}\n");
  folder.write("two.yaml", "extends: one.yaml\ntrain: {max_steps: 2}\n");
  const auto config = load_config(folder.write("three.yaml", "extends: two.yaml\nrun: {seed: 3}\n")).config;
  EXPECT_EQ(config.train.epochs, 1);
  EXPECT_EQ(config.train.max_steps, 2);
  EXPECT_EQ(config.run.seed, 3u);
}

TEST(LoadTest, TwoFilesMayShareABaseOneAfterTheOther) {
  // The chain is what counts, not every file ever read: the same base again in a second load is no cycle.
  const TempFolder folder;
  folder.write("base.yaml", "run: {seed: 7}\n");
  const auto path = folder.write("a.yaml", "extends: base.yaml\n");
  EXPECT_EQ(load_config(path).config.run.seed, 7u);
  EXPECT_EQ(load_config(path).config.run.seed, 7u);
}

TEST(LoadTest, EnvironmentVariablesStandInValues) {
  const ScopedVariable root("RN_TEST_ROOT", "/data"), epochs("RN_TEST_EPOCHS", "3");
  const ScopedVariable unset("RN_TEST_UNSET", nullptr), empty("RN_TEST_EMPTY", "");
  const auto config = load(
      "data: {root: '${RN_TEST_ROOT}/cifar'}\n"
      "train:\n"
      "  epochs: ${RN_TEST_EPOCHS}\n"
      "  max_steps: ${RN_TEST_EMPTY:-9}\n"
      "run: {dir: \"$${RN_TEST_ROOT}\"}\n",
      {"optimizer.lr=${RN_TEST_UNSET:-0.5}"});
  EXPECT_EQ(config.data.root, "/data/cifar");
  EXPECT_EQ(config.train.epochs, 3);
  EXPECT_EQ(config.train.max_steps, 9);
  EXPECT_EQ(config.run.dir, "${RN_TEST_ROOT}");
  EXPECT_EQ(config.optimizer.lr, 0.5);
}

TEST(LoadTest, ABaseMayBeNamedByTheEnvironment) {
  const TempFolder folder;
  folder.write("base.yaml", "run: {seed: 4}\n");
  const ScopedVariable name("RN_TEST_BASE", "base");
  EXPECT_EQ(load_config(folder.write("a.yaml", "extends: ${RN_TEST_BASE}.yaml\n")).config.run.seed, 4u);
}

TEST(LoadTest, ASectionMayBeGivenAsAMapOnTheCommandLine) {
  const auto config = load("run: {name: a}", {"optimizer={lr: 0.5, momentum: 0.8}"});
  EXPECT_EQ(config.optimizer.lr, 0.5);
  EXPECT_EQ(config.optimizer.momentum, 0.8);
}

TEST(LoadTest, OverridesAreYaml) {
  const auto config = load("run: {name: a, dir: b}", {"run.name=\"my run\"", "run.dir=", "data.root=a=b",
                                                      "train.drop_last=true", "run.time_limit=1:30"});
  EXPECT_EQ(config.run.name, "my run");
  EXPECT_EQ(config.run.dir, "");
  EXPECT_EQ(config.data.root, "a=b");
  EXPECT_TRUE(config.train.drop_last);
  EXPECT_EQ(config.run.time_limit_seconds, 90);
}

TEST(LoadTest, TextMayLookLikeANumber) {
  EXPECT_EQ(load("run: {name: 007}").run.name, "007");
  EXPECT_EQ(load("run: {name: yes}").run.name, "yes");
}

TEST(LoadTest, AByteOrderMarkIsSkipped) {
  const auto loaded = load_config_text("\xef\xbb\xbfrun: {seed: 5}", "a.yaml");
  EXPECT_EQ(loaded.config.run.seed, 5u);
  EXPECT_EQ(describe(loaded.origin("run.seed")), "a.yaml:1:13");
}

TEST(LoadTest, LineEndsOfWindowsAreLineEnds) {
  const auto config = load("run:\r\n  name: a\r\n  seed: 5\r\n");
  EXPECT_EQ(config.run.name, "a");
  EXPECT_EQ(config.run.seed, 5u);
}

TEST(LoadTest, ASectionWithoutKeysIsNoError) {
  EXPECT_EQ(load("optimizer:\n  # lr: 0.3\nrun: {}\n").optimizer.lr, RunConfig{}.optimizer.lr);
}

TEST(LoadTest, DeterministicIsFalseOrStrict) {
  EXPECT_EQ(load("run: {deterministic: false}").run.deterministic, Determinism::kNone);
  EXPECT_EQ(load("run: {deterministic: strict}").run.deterministic, Determinism::kStrict);
}

TEST(LoadTest, TheLargestSeedIsKept) {
  EXPECT_EQ(load("run: {seed: 9223372036854775807}").run.seed, 9223372036854775807u);
}

}  // namespace
}  // namespace rn::config
