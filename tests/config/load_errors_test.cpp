// What is wrong with a configuration, and the exact words that say so.
#include <algorithm>
#include <ostream>

#include "config/load.h"
#include "config/option_table.h"
#include "config/text_file.h"
#include "config_test_support.h"

namespace rn::config {
namespace {

using namespace testing_support;

struct Case {
  const char* yaml;
  const char* message;
};

// In ASCII: the name goes into the results' XML, which other bytes would spoil.
void PrintTo(const Case& c, std::ostream* out) {
  for (const char* at = c.yaml; *at != '\0'; ++at) {
    const auto byte = static_cast<unsigned char>(*at);
    if (byte == '\n' || (byte >= 0x20 && byte < 0x7f)) {
      *out << *at;
    } else {
      *out << "\\x" << std::hex << int{byte} << std::dec;
    }
  }
}

class LoadErrorTest : public ::testing::TestWithParam<Case> {};

TEST_P(LoadErrorTest, SaysExactlyWhatIsWrongAndWhere) {
  EXPECT_EQ(load_error(GetParam().yaml), GetParam().message) << "input:\n" << GetParam().yaml;
}

const Case kKeys[] = {
    {"optimizer: {lrr: 0.1}",
     "a.yaml:1:13: optimizer.lrr: unknown key; did you mean 'optimizer.lr' (a number of at least 0)?"},
    {"train:\n  lr: 0.1\n",
     "a.yaml:2:3: train.lr: unknown key; did you mean 'optimizer.lr' (a number of at least 0)?"},
    {"train:\n  epoch: 3\n",
     "a.yaml:2:3: train.epoch: unknown key; did you mean 'train.epochs' (a number above 0 and at most "
     "1000000)?"},
    {"optimiser:\n  lr: 0.1\n", "a.yaml:1:1: optimiser: unknown key; did you mean 'optimizer'?"},
    {"lr: 0.1\n", "a.yaml:1:1: lr: unknown key; did you mean 'optimizer.lr' (a number of at least 0)?"},
    {"ema: {zzzzzzzzz: 1}",
     "a.yaml:1:7: ema.zzzzzzzzz: unknown key; known in 'ema': enabled, decay, every_steps"},
    {"zzzzzzzzzzzzz: 1",
     "a.yaml:1:1: zzzzzzzzzzzzz: unknown key; known at the top level: run, model, data, augment, train, "
     "optimizer, "
     "schedule, ema, swa, eval, checkpoint, federated, dist, report, extends"},
    {"optimizer.lr: 0.1",
     "a.yaml:1:1: optimizer.lr: dotted keys are for the command line; in a file write 'optimizer:' with "
     "'lr:' indented "
     "below it"},
    {"train:\n  epochs: 1\n  epochs: 2\n", "a.yaml:3:3: train.epochs: duplicate key; first given at line 2"},
    {"train: {epochs: 1}\ntrain: {epochs: 2}\n", "a.yaml:2:1: train: duplicate key; first given at line 1"},
    {"train: {'epochs': 1, epochs: 2}", "a.yaml:1:22: train.epochs: duplicate key; first given at line 1"},
    {"? [a, b]\n: 1\n", "a.yaml:1:3: a key must be a plain name"},
    {"train:\n  \"a\\nb\": 1\n",
     "a.yaml:2:3: 'train.a\\x0ab': unknown key; known in 'train': epochs, max_steps, global_batch, "
     "batch_per_rank, "
     "precision, accumulate_steps, label_smoothing, clip_norm, shards, threads, cuda_graph, drop_last, "
     "replica_check_steps, "
     "kernels"},
};
INSTANTIATE_TEST_SUITE_P(Keys, LoadErrorTest, ::testing::ValuesIn(kKeys));

const Case kTypes[] = {
    {"train: {epochs: many}",
     "a.yaml:1:17: train.epochs: 'many' is not a number; allowed: a number above 0 and at most 1000000"},
    {"train: {epochs: \"3\"}",
     "a.yaml:1:17: train.epochs: quoted text '3' is not a number; leave out the quotes; allowed: a number "
     "above 0 and at most 1000000"},
    {"train: {epochs: .inf}",
     "a.yaml:1:17: train.epochs: '.inf' is not a number; allowed: a number above 0 and at most 1000000"},
    {"train: {epochs: 1e999}",
     "a.yaml:1:17: train.epochs: '1e999' is out of range; allowed: a number above 0 and at most 1000000"},
    {"train: {epochs: }",
     "a.yaml:1:9: train.epochs: has no value; allowed: a number above 0 and at most 1000000"},
    {"train: {epochs: ~}",
     "a.yaml:1:9: train.epochs: has no value; allowed: a number above 0 and at most 1000000"},
    {"train: {epochs: [3]}",
     "a.yaml:1:17: train.epochs: a list stands where one value is due; allowed: a number above 0 and at most "
     "1000000"},
    {"train:\n  epochs:\n    count: 3\n",
     "a.yaml:3:5: train.epochs: a map stands where one value is due; allowed: a number above 0 and at most "
     "1000000"},
    {"train: {max_steps: 010}",
     "a.yaml:1:20: train.max_steps: '010' has a leading zero, which some readers take for octal; write 10; "
     "allowed: a whole number from 0 to 1000000000000"},
    {"train: {max_steps: 1e3}",
     "a.yaml:1:20: train.max_steps: '1e3' is not a whole number; write 1000; allowed: a whole number from 0 "
     "to 1000000000000"},
    {"train: {max_steps: 1.5}",
     "a.yaml:1:20: train.max_steps: '1.5' is not a whole number; allowed: a whole number from 0 to "
     "1000000000000"},
    {"train: {max_steps: 99999999999999999999}",
     "a.yaml:1:20: train.max_steps: '99999999999999999999' is out of range; allowed: a whole number from 0 "
     "to 1000000000000"},
    {"train: {drop_last: yes}",
     "a.yaml:1:20: train.drop_last: 'yes' is not a boolean; write true; allowed: true, false"},
    {"train: {drop_last: Off}",
     "a.yaml:1:20: train.drop_last: 'Off' is not a boolean; write false; allowed: true, false"},
    {"train: {drop_last: 'true'}",
     "a.yaml:1:20: train.drop_last: quoted text 'true' is not a boolean; leave out the quotes; allowed: "
     "true, false"},
    {"train: {drop_last: maybe}",
     "a.yaml:1:20: train.drop_last: 'maybe' is not a boolean; allowed: true, false"},
    {"model: {norm: bach}",
     "a.yaml:1:15: model.norm: 'bach' is not known; did you mean 'batch'?; allowed: batch, sync_batch, "
     "group"},
    {"run: {mode: eval}", "a.yaml:1:13: run.mode: 'eval' is not known; allowed: train, federated"},
    {"run: {deterministic: true}",
     "a.yaml:1:22: run.deterministic: 'true' is not known; allowed: false, strict"},
    {"data: {dataset: files}",
     "a.yaml:1:17: data.dataset: 'files' is not known; allowed: cifar10, synthetic, folder"},
    {"run: {time_limit: soon}",
     "a.yaml:1:19: run.time_limit: 'soon' is not a duration; allowed: seconds or [hours:]minutes:seconds"},
    {"run: {time_limit: 1:75}",
     "a.yaml:1:19: run.time_limit: '1:75' is not a duration; allowed: seconds or [hours:]minutes:seconds"},
    {"run: {time_limit: -5}",
     "a.yaml:1:19: run.time_limit: '-5' is out of range; allowed: seconds or [hours:]minutes:seconds"},
    {"run: {dir: \"a\\tb\"}",
     "a.yaml:1:12: run.dir: must be one line of UTF-8 text without control characters"},
    {"train: 3", "a.yaml:1:8: train: must hold keys of its own, each on an indented line"},
    {"train: [1]", "a.yaml:1:8: train: must hold keys of its own, each on an indented line"},
};
INSTANTIATE_TEST_SUITE_P(Types, LoadErrorTest, ::testing::ValuesIn(kTypes));

const Case kRanges[] = {
    {"optimizer: {lr: -0.1}",
     "a.yaml:1:17: optimizer.lr: '-0.1' is out of range; allowed: a number of at least 0"},
    {"train: {epochs: 0}",
     "a.yaml:1:17: train.epochs: '0' is out of range; allowed: a number above 0 and at most 1000000"},
    {"optimizer: {momentum: 1}",
     "a.yaml:1:23: optimizer.momentum: '1' is out of range; allowed: a number from 0 to below 1"},
    {"schedule: {pct_start: 1}",
     "a.yaml:1:23: schedule.pct_start: '1' is out of range; allowed: a number above 0 and below 1"},
    {"data: {workers: 0}",
     "a.yaml:1:17: data.workers: '0' is out of range; allowed: a whole number from 1 to 256"},
    {"run: {seed: -1}", "a.yaml:1:13: run.seed: '-1' is out of range; allowed: a whole number of at least 0"},
    {"checkpoint: {keep: 3000000000}",
     "a.yaml:1:20: checkpoint.keep: '3000000000' is out of range; allowed: a whole number from 1 to "
     "1000000"},
};
INSTANTIATE_TEST_SUITE_P(Ranges, LoadErrorTest, ::testing::ValuesIn(kRanges));

// Every number of epochs, steps and images ends where products of them still fit into 64 bits.
TEST(LoadErrorsTest, HugeNumbersAreRefusedAllAtOnce) {
  const std::vector<std::string> keys = {
      "train.epochs",    "train.max_steps",   "train.global_batch",      "train.batch_per_rank",
      "eval.batch",      "eval.every_epochs", "checkpoint.every_epochs", "schedule.warmup_epochs",
      "swa.start",       "swa.anneal_epochs", "swa.cycle_epochs",        "swa.interval_epochs",
      "data.workers",    "data.prefetch",     "data.validation",         "data.synthetic_train",
      "dist.bucket_mib", "train.threads",     "train.accumulate_steps",  "model.width"};
  std::vector<std::string> overrides;
  for (const auto& key : keys) {
    const bool whole = std::holds_alternative<std::int64_t>(default_value(*find_option(key)));
    overrides.push_back(key + (whole ? "=9000000000000000000" : "=1e300"));
  }
  const std::string error = load_error("run: {}", overrides);
  for (const auto& key : keys)
    EXPECT_NE(error.find("command line: " + key + ": '"), std::string::npos) << key;
}

const Case kTexts[] = {
    {"", "a.yaml: is empty; a configuration names at least one key, e.g. 'train: {epochs: 12}'"},
    {"# only words\n",
     "a.yaml: is empty; a configuration names at least one key, e.g. 'train: {epochs: 12}'"},
    {"- train\n", "a.yaml:1:1: the file must hold 'section:' lines with keys, not a list or text"},
    {"train", "a.yaml:1:1: the file must hold 'section:' lines with keys, not a list or text"},
    {"train:\n\tepochs: 3\n", "a.yaml:2:1: a tab in the indentation; YAML is indented by spaces"},
    {"train: {name: \xff}", "a.yaml:1:15: is not UTF-8: an invalid byte"},
    {"\xff\xfet", "a.yaml:1:1: is UTF-16 (it starts with that byte order mark); save it as UTF-8"},
    {"train: {\x01}", "a.yaml:1:9: holds a control character; is it a text file?"},
    {"train: {epochs: &e 3}",
     "a.yaml:1:17: anchors and aliases (&name, *name) are not supported; use 'extends' or ${VAR}"},
    {"a: &a [x]\nb: [*a, *a]\n",
     "a.yaml:1:4: anchors and aliases (&name, *name) are not supported; use 'extends' or ${VAR}"},
    {"train: {epochs: !!int 3}", "a.yaml:1:17: tags (!name) are not supported; write the plain value"},
    {"train: !map {epochs: 3}", "a.yaml:1:8: tags (!name) are not supported; write the plain value"},
    {"train: {epochs: 3}\n---\ntrain: {epochs: 4}\n",
     "a.yaml:2:1: a second document ('---'); one file holds one"},
    {"train: [[[[[[[[[[]]]]]]]]]]", "a.yaml:1:15: nested deeper than 8"},
    {"train: {epochs: 3", "a.yaml:1:8: not valid YAML: end of map flow not found"},
    {"train:\n  epochs: [3,\n  4\n", "a.yaml:2:11: not valid YAML: end of sequence flow not found"},
    {"train:\n  epochs: *e\n",
     "a.yaml:2:11: anchors and aliases (&name, *name) are not supported; use 'extends' or ${VAR}"},
    {"train:\n   epochs: 3\n  max_steps: 4\n", "a.yaml:3:3: not valid YAML: end of map not found"},
};
INSTANTIATE_TEST_SUITE_P(Texts, LoadErrorTest, ::testing::ValuesIn(kTexts));

const Case kEnvironment[] = {
    {"data: {root: '${RN_TEST_UNSET}'}",
     "a.yaml:1:14: data.root: the environment variable RN_TEST_UNSET is not set; set it, or write "
     "${RN_TEST_UNSET:-default}"},
    {"data: {root: '${}'}",
     "a.yaml:1:14: data.root: '${}' does not name a variable; write ${VAR} or ${VAR:-default}, or $${ for a "
     "literal "
     "${"},
    {"data: {root: '${HOME'}", "a.yaml:1:14: data.root: '${HOME' has no closing brace; write ${VAR}"},
};
INSTANTIATE_TEST_SUITE_P(Environment, LoadErrorTest, ::testing::ValuesIn(kEnvironment));

struct OverrideCase {
  const char* argument;
  const char* message;
};

void PrintTo(const OverrideCase& c, std::ostream* out) { *out << c.argument; }

class OverrideErrorTest : public ::testing::TestWithParam<OverrideCase> {};

TEST_P(OverrideErrorTest, SaysExactlyWhatIsWrong) {
  EXPECT_EQ(load_error("run: {}", {GetParam().argument}), GetParam().message);
}

const OverrideCase kOverrides[] = {
    {"optimizer.lrr=0.1",
     "command line: optimizer.lrr: unknown key; did you mean 'optimizer.lr' (a number of at least 0)?"},
    {"optimzer.lr=0.1",
     "command line: optimzer.lr: unknown key; did you mean 'optimizer.lr' (a number of at least 0)?"},
    {"optimizer.lr=fast",
     "command line: optimizer.lr: 'fast' is not a number; allowed: a number of at least 0"},
    {"optimizer.lr=", "command line: optimizer.lr: has no value; allowed: a number of at least 0"},
    {"optimizer.lr=[1, 2]",
     "command line: optimizer.lr: a list stands where one value is due; allowed: a number of at least 0"},
    {"optimizer.lr=*x",
     "command line: optimizer.lr: anchors and aliases (&name, *name) are not supported; use 'extends' or "
     "${VAR}"},
    {"optimizer=0.1", "command line: optimizer: must hold keys of its own, each on an indented line"},
    {"optimizer.lr.x=1",
     "command line: optimizer.lr.x: unknown key; did you mean 'optimizer.lr' (a number of at least 0)?"},
    {"extends=b.yaml", "command line: extends: stands in a file, not on the command line"},
    {"=3", "command line: '=3' is not key=value, e.g. optimizer.lr=0.1"},
};
INSTANTIATE_TEST_SUITE_P(All, OverrideErrorTest, ::testing::ValuesIn(kOverrides));

TEST(LoadErrorsTest, AreReportedAllAtOnceInOrder) {
  const TempFolder folder;
  const auto base = folder.write("base.yaml", "model: {nam: resnet18}\n");
  const auto path = folder.write("a.yaml",
                                 "extends: base.yaml\n"
                                 "train:\n"
                                 "  epochs: none\n"
                                 "  global_batch: 64\n"
                                 "  batch_per_rank: 32\n"
                                 "optimizer: {lrr: 0.1}\n");
  EXPECT_EQ(error_of([&] { load_config(path, {"data.workers=0", "data.workers=1"}); }),
            cat(base,
                ":1:9: model.nam: unknown key; did you mean 'model.name' (resnet18, resnet9, pfl_cnn, "
                "lenet)?\n",  //
                path,
                ":3:11: train.epochs: 'none' is not a number; allowed: a number above 0 and at most "
                "1000000\n",  //
                path,
                ":6:13: optimizer.lrr: unknown key; did you mean 'optimizer.lr' (a number of at least 0)?\n"
                "command line: data.workers: '0' is out of range; allowed: a whole number from 1 to 256\n"
                "command line: data.workers: duplicate key; given twice on the command line\n",
                path,
                ":5:19: train.batch_per_rank: is given together with train.global_batch: 64; give one of "
                "them"));
}

TEST(LoadErrorsTest, AWrongKeyKeepsRulesOverItQuiet) {
  // With its default of 12 epochs the start would be too late; but what epochs is to be is not known.
  const std::string yaml = "train: {epochs: x}\nswa: {enabled: true, start: 20}\n";
  EXPECT_EQ(load_error(yaml),
            "a.yaml:1:17: train.epochs: 'x' is not a number; allowed: a number above 0 and at most 1000000");
}

TEST(LoadErrorsTest, AreCutAfterAHundred) {
  std::string yaml;
  for (int i = 0; i < 150; ++i) yaml += cat("qqqqqqqqqqqqqq", i, ": 1\n");
  const auto message = load_error(yaml);
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 100);
  EXPECT_TRUE(message.ends_with("\n... and 50 more problems")) << message;
}

TEST(LoadErrorsTest, AMissingFileIsNamed) {
  const TempFolder folder;
  const auto path = folder.path("none.yaml");
  EXPECT_EQ(error_of([&] { load_config(path); }), cat(path, ": cannot be read: No such file or directory"));
}

TEST(LoadErrorsTest, AFolderIsNamed) {
  const TempFolder folder;
  EXPECT_EQ(error_of([&] { load_config(folder.path()); }),
            cat(folder.path(), ": is a folder, not a configuration file"));
}

TEST(LoadErrorsTest, ALargeFileIsRefusedUnread) {
  const TempFolder folder;
  const auto path = folder.write("a.yaml", std::string(kLongestConfigBytes + 1, '#'));
  EXPECT_EQ(error_of([&] { load_config(path); }),
            cat(path, ": is larger than 1024 KiB: not a configuration file"));
}

TEST(LoadErrorsTest, AMissingBaseIsNamedWhereItIsAskedFor) {
  const TempFolder folder;
  const auto path = folder.write("a.yaml", "run: {name: a}\nextends: none.yaml\n");
  EXPECT_EQ(error_of([&] { load_config(path); }), cat(path, ":2:10: extends: '", folder.path("none.yaml"),
                                                      "' cannot be read: No such file or directory"));
}

TEST(LoadErrorsTest, FilesThatExtendEachOtherAreRefused) {
  const TempFolder folder;
  const auto a = folder.write("a.yaml", "extends: b.yaml\n");
  const auto b = folder.write("b.yaml", "extends: ./a.yaml\n");
  EXPECT_EQ(error_of([&] { load_config(a); }),
            cat(b, ":1:10: extends: '", a, "' extends itself, directly or through others"));
}

TEST(LoadErrorsTest, ExtendsTakesOneFile) {
  EXPECT_EQ(load_error("extends: [a, b]"), "a.yaml:1:10: extends: must name one file, relative to this one");
  EXPECT_EQ(load_error("extends:\n"), "a.yaml:1:1: extends: must name one file, relative to this one");
}

TEST(LoadErrorsTest, EveryKindOfErrorIsTheUsers) {
  try {
    load("train: {epochs: x}");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
  }
}

}  // namespace
}  // namespace rn::config
