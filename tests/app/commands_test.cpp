// The other commands and options of the program, and what they print.
#include <filesystem>

#include "app_fixture.h"

namespace rn::app_testing {
namespace {

namespace fs = std::filesystem;

class CommandsTest : public AppTest {
 protected:
  Result expect(const Words& command, int code, const Words& said, int ranks = 0) const {
    const auto result = call(command, ranks);
    EXPECT_EQ(result.code, code) << result.text();
    for (const auto& words : said) {
      EXPECT_NE((code == 0 ? result.out : result.err).find(words), std::string::npos)
          << "'" << words << "' is not in: " << result.text();
    }
    return result;
  }
};

TEST_F(CommandsTest, WithoutWordsItTellsItsUsage) {
  expect({}, 2, {"usage: rn_dist CONFIG.yaml", "rn_dist eval", "rn_dist data", "rn_dist doctor", "--help"});
}

TEST_F(CommandsTest, HelpNamesCommandsExitCodesAndEverySection) {
  expect({"--help"}, 0,
         {"usage: rn_dist CONFIG.yaml", "143 and 130", "\nrun: ", "\nmodel: ", "\ndata: ", "\naugment: ",
          "\ntrain: ", "\noptimizer: ", "\nschedule: ", "\nema: ", "\nswa: ", "\neval: ", "\ncheckpoint: ",
          "\ndist: ", "\nreport: ", "train.global_batch=0"});
  expect({"eval", "--help"}, 0, {"usage: rn_dist eval", "--weights"});
  expect({"data", "--help"}, 0, {"usage: rn_dist data", "fetch", "verify", "import", "synth", "show"});
  expect({"doctor", "--help"}, 0, {"usage: rn_dist doctor"});
}

TEST_F(CommandsTest, VersionNamesEveryLibrary) {
  expect({"--version"}, 0,
         {"rn_dist 0.", "LibTorch 2.", "MPI", "NCCL", "libcurl", "zlib", "libpng", "jpeg", "OpenSSL",
          "compiler"});
}

TEST_F(CommandsTest, DoctorFindsThisMachineFit) {
  expect({"doctor"}, 0, {"no launcher", "/dev/shm", "precision auto is"});
  expect({"doctor"}, 0, {"rank 0 of 2"}, 2);
  expect({"doctor", "please"}, 2, {"please"});
}

TEST_F(CommandsTest, DryRunTellsTheCostAndTouchesNothing) {
  const auto result = expect({"c.yaml", "--dry-run", "run.dir=run", "train.global_batch=100"}, 0,
                             {"prep.conv", "fc", "parameters      26340", "GFLOP", "MiB",
                              "1500: 500 per epoch", "run folder      run"});
  EXPECT_EQ(result.err, "");
  EXPECT_NE(result.out.find("assuming the whole of CIFAR-10 (50000)"), std::string::npos);
  EXPECT_FALSE(fs::exists(path("run")));
  expect({"c.yaml", "--dry-run=4", "data.dataset=synthetic", "data.synthetic_train=640", "data.validation=40",
          "train.global_batch=100"},
         0,
         {"600 to train on, as data.synthetic_train says, less 40 held out", "18: 6 per epoch",
          "100 global = 4 rank(s) x 1 micro-step(s) x 25 images"});
  const auto two = expect({"c.yaml", "--dry-run"}, 0, {"12 global = 2 rank(s)"}, 2);
  EXPECT_EQ(two.out.find("global ="), two.out.rfind("global =")) << "one rank speaks";
  EXPECT_EQ(expect({"c.yaml", "--dry-run=20"}, 2, {"12 images cannot be shared by 20 ranks"}).out, "");
  expect({"c.yaml", "--dry-run", "train.epochs=0"}, 2, {"train.epochs"});
}

TEST_F(CommandsTest, PrintConfigTellsTheOriginOfEachValue) {
  expect({"c.yaml", "--print-config", "optimizer.lr=0.3"}, 0,
         {"width: 4", "c.yaml:1:", "lr: 0.3", "command line", "momentum: 0.9", "default"});
}

TEST_F(CommandsTest, UnknownOptionsNameTheNearestKnownOne) {
  expect({"c.yaml", "--dryrun"}, 2, {"--dryrun", "--dry-run"});
  expect({"eval", "--spilt", "test"}, 2, {"--spilt", "usage: rn_dist eval"});
  expect({"data", "frobnicate"}, 2, {"frobnicate", "fetch, verify"});
}

TEST_F(CommandsTest, VerifyAndShowReadTheSyntheticSetAndSaySo) {
  expect({"data", "verify", "--root", data_root()}, 0, {"SYNTHETIC", "train: 50 images", "test: 20 images"});
  expect({"data", "show", "--root", data_root(), "--sheet", "sheet.png"}, 0, {"SYNTHETIC", "airplane"});
  EXPECT_TRUE(fs::exists(path("sheet.png")));
}

TEST_F(CommandsTest, EvalChoosesAveragedWeightsAndTellsWhich) {
  train_well("run", {"ema.enabled=true", "swa.enabled=true", "swa.start=0.4"});
  expect({"eval", "run"}, 0, {"test, swa weights, step 15", "confusion"});
  expect({"eval", "run", "--weights", "raw"}, 0, {"raw weights"});
  expect({"eval", "run/checkpoints/5"}, 0, {"test, ema weights, step 5"});  // SWA is ready at the end only
  const auto train_split = expect({"eval", "run", "--split", "train", "--json"}, 0, {});
  EXPECT_EQ(Json::parse(train_split.out).at("n"), 50);
  const auto at_the_end = Json::parse(read("run/summary.json")).at("evals").at("test");
  for (const char* weights : {"raw", "ema", "swa"}) {
    const auto result = expect({"eval", "run/checkpoints/last", "--weights", weights, "--json"}, 0, {});
    EXPECT_EQ(Json::parse(result.out).at("top1"), at_the_end.at(weights).at("top1")) << weights;
  }
}

}  // namespace
}  // namespace rn::app_testing
