#include "config/option_table.h"

#include <set>

#include "config_test_support.h"
#include "table_samples.h"

namespace rn::config {
namespace {

using namespace testing_support;

TEST(OptionTableTest, KeysAreUniqueAndFound) {
  std::set<std::string> keys;
  for (const auto& option : option_table()) {
    EXPECT_TRUE(keys.insert(option.key()).second) << option.key();
    EXPECT_EQ(find_option(option.key()), &option) << option.key();
    EXPECT_NE(find_section(option.section), nullptr) << option.key();
  }
  for (const auto& section : sections()) {
    EXPECT_TRUE(std::any_of(keys.begin(), keys.end(), [&](const auto& key) {
      return key.starts_with(section.name + ".");
    })) << section.name;
  }
  EXPECT_EQ(find_option("optimizer"), nullptr);
  EXPECT_EQ(find_option("optimizer."), nullptr);
  EXPECT_EQ(find_option("optimizer.lr.x"), nullptr);
}

TEST(OptionTableTest, EveryDefaultIsAllowedAndHasAHelp) {
  for (const auto& option : option_table()) {
    const auto value = default_value(option);
    if (const auto* number = std::get_if<double>(&value)) {
      EXPECT_TRUE(option.range.contains(*number)) << option.key();
    }
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      EXPECT_TRUE(option.range.contains(static_cast<double>(*integer))) << option.key();
    }
    if (option.type == ValueType::kChoice) {
      const auto& name = std::get<std::string>(value);
      EXPECT_TRUE(std::count(option.choices.begin(), option.choices.end(), name) == 1) << option.key();
    }
    EXPECT_TRUE(option.help.ends_with('.')) << option.key() << ": " << option.help;
  }
}

TEST(OptionTableTest, TheDefaultsTogetherAreAValidRun) { EXPECT_TRUE(find_violations(RunConfig{}).empty()); }

TEST(OptionTableTest, EveryOptionHasAnotherValueThanItsDefault) {
  for (const auto& option : option_table()) {
    EXPECT_EQ(other_value(option).has_value(), option.choices.size() != 1) << option.key();
  }
}

TEST(OptionTableTest, SettingAnOptionChangesThatOneOnly) {
  for (const auto& [option, value] : other_values()) {
    const auto config = with(*option, value);
    for (const auto& other : option_table()) {
      const auto expected = &other == option ? value : default_value(other);
      EXPECT_EQ(other.get(config), expected) << "after setting " << option->key() << ": " << other.key();
    }
  }
}

TEST(OptionTableTest, EveryNameOfAChoiceReadsBack) {
  for (const auto& option : option_table()) {
    for (const auto& name : option.choices) {
      EXPECT_EQ(option.get(with(option, name)), Value(name)) << option.key();
    }
  }
}

// The table is the contract's: a key that is renamed or lost breaks files that users have.
TEST(OptionTableTest, HoldsTheKeysOfTheContract) {
  for (const char* key : {"run.name",
                          "run.dir",
                          "run.mode",
                          "run.seed",
                          "run.resume",
                          "run.overwrite",
                          "run.deterministic",
                          "run.time_limit",
                          "model.name",
                          "model.norm",
                          "model.init_from",
                          "data.dataset",
                          "data.root",
                          "augment.crop_padding",
                          "augment.crop_mode",
                          "augment.flip",
                          "augment.cutout",
                          "augment.normalize",
                          "train.epochs",
                          "train.max_steps",
                          "train.global_batch",
                          "train.batch_per_rank",
                          "train.precision",
                          "train.accumulate_steps",
                          "train.shards",
                          "train.label_smoothing",
                          "train.clip_norm",
                          "train.threads",
                          "train.drop_last",
                          "train.replica_check_steps",
                          "optimizer.name",
                          "optimizer.lr",
                          "optimizer.momentum",
                          "optimizer.nesterov",
                          "optimizer.weight_decay",
                          "schedule.name",
                          "checkpoint.monitor",
                          "dist.backend",
                          "dist.bucket_mib",
                          "dist.init_deadline_seconds",
                          "dist.data_deadline_seconds",
                          "dist.step_deadline_seconds",
                          "dist.eval_deadline_seconds",
                          "dist.checkpoint_deadline_seconds",
                          "report.every_steps"}) {
    EXPECT_NE(find_option(key), nullptr) << key;
  }
}

TEST(OptionTableTest, AllowedValuesAreSaidInWords) {
  const auto allowed = [](const char* key) { return allowed_text(*find_option(key)); };
  EXPECT_EQ(allowed("train.epochs"), "a number above 0 and at most 1000000");
  EXPECT_EQ(allowed("optimizer.lr"), "a number of at least 0");
  EXPECT_EQ(allowed("optimizer.momentum"), "a number from 0 to below 1");
  EXPECT_EQ(allowed("schedule.pct_start"), "a number above 0 and below 1");
  EXPECT_EQ(allowed("schedule.warmup_start"), "a number from 0 to 1");
  EXPECT_EQ(allowed("dist.step_deadline_seconds"), "a number above 0 and at most 864000");
  EXPECT_EQ(allowed("train.drop_last"), "true, false");
  EXPECT_EQ(allowed("augment.flip"), "none, random, alternating");
  EXPECT_EQ(allowed("run.time_limit"), "seconds or [hours:]minutes:seconds");
}

TEST(FormatNumberTest, IsShortExactAndANumberInYaml11) {
  EXPECT_EQ(format_number(0.1), "0.1");
  EXPECT_EQ(format_number(12), "12");
  EXPECT_EQ(format_number(5e-4), "0.0005");
  EXPECT_EQ(format_number(1e-9), "1.0e-09");
  EXPECT_EQ(format_number(-2.5e20), "-2.5e+20");
  EXPECT_EQ(format_number(0), "0");
  EXPECT_EQ(format_number(1e6), "1000000");
}

}  // namespace
}  // namespace rn::config
