#include "config/command_line.h"

#include "config_test_support.h"

namespace rn::config {
namespace {

using namespace testing_support;
using Kind = Command::Kind;

TEST(CommandLineTest, AFileAndChangesInAnyOrder) {
  const auto command = parse_command({"train.epochs=1", "a.yaml", "optimizer.lr=0.1"});
  EXPECT_EQ(command.kind, Kind::kRun);
  EXPECT_EQ(command.config_path, "a.yaml");
  EXPECT_EQ(command.overrides, (std::vector<std::string>{"train.epochs=1", "optimizer.lr=0.1"}));
}

TEST(CommandLineTest, EveryFlagHasItsKind) {
  EXPECT_EQ(parse_command({"a.yaml", "--dry-run"}).kind, Kind::kDryRun);
  EXPECT_EQ(parse_command({"--print-config", "a.yaml"}).kind, Kind::kPrintConfig);
  EXPECT_EQ(parse_command({"--help"}).kind, Kind::kHelp);
  EXPECT_EQ(parse_command({"-h"}).kind, Kind::kHelp);
  EXPECT_EQ(parse_command({"--help", "-h"}).kind, Kind::kHelp);
  EXPECT_EQ(parse_command({"--version"}).kind, Kind::kVersion);
  EXPECT_EQ(parse_command({"--print-config-reference"}).kind, Kind::kPrintReference);
  EXPECT_EQ(parse_command({"--print-config-schema"}).kind, Kind::kPrintSchema);
}

TEST(CommandLineTest, ADryRunMayNameItsRanks) {
  EXPECT_EQ(parse_command({"a.yaml", "--dry-run"}).ranks, 0);
  const auto command = parse_command({"a.yaml", "--dry-run=16"});
  EXPECT_EQ(command.kind, Kind::kDryRun);
  EXPECT_EQ(command.ranks, 16);
  for (const char* wrong : {"", "0", "-2", "four", "4x", "99999999999"}) {
    EXPECT_EQ(error_of([&] { parse_command({"a.yaml", cat("--dry-run=", wrong)}); }),
              cat("command line: --dry-run takes a number of ranks from 1 to 1000000, not '", wrong, "'"));
  }
}

TEST(CommandLineTest, APathMayHoldAnEqualsSign) {
  EXPECT_EQ(parse_command({"runs/a=b.yaml"}).config_path, "runs/a=b.yaml");
  EXPECT_EQ(parse_command({"./a=b.yaml"}).config_path, "./a=b.yaml");
}

TEST(CommandLineTest, AfterTwoDashesNothingIsAnOption) {
  EXPECT_EQ(parse_command({"--", "-a.yaml"}).config_path, "-a.yaml");
}

TEST(CommandLineTest, MistakesAreSaidAllAtOnce) {
  EXPECT_EQ(error_of([] { parse_command({""}); }),
            "command line: an empty word; is a variable of the shell not set?");
  EXPECT_EQ(error_of([] { parse_command({}); }),
            "command line: no configuration file; usage: rn_dist CONFIG.yaml [key=value ...], or --help");
  EXPECT_EQ(
      error_of([] { parse_command({"a.yaml", "b.yaml", "--dryrun", "--optimizer.lr=3", "--zzzzzzzzz"}); }),
      "command line: a second configuration file 'b.yaml' after 'a.yaml'; changes are given as key=value\n"
      "command line: unknown option '--dryrun'; did you mean --dry-run?; known: --dry-run, --print-config, "
      "--help, --version\n"
      "command line: unknown option '--optimizer.lr=3'; write 'optimizer.lr=3' to set a key\n"
      "command line: unknown option '--zzzzzzzzz'; known: --dry-run, --print-config, --help, --version");
  EXPECT_EQ(error_of([] { parse_command({"a.yaml", "--dry-run", "--print-config"}); }),
            "command line: --dry-run and --print-config exclude each other");
}

TEST(CommandLineTest, ACommandLoadsItsConfiguration) {
  const TempFolder folder;
  const auto path = folder.write("a.yaml", "run: {seed: 1}\n");
  EXPECT_EQ(load_config(parse_command({path, "run.seed=2"})).config.run.seed, 2u);
}

}  // namespace
}  // namespace rn::config
