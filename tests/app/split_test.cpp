// `rn_dist split`: what it prints and writes, and what it refuses.
#include <filesystem>

#include "app_fixture.h"

namespace rn::app_testing {
namespace {

const Words kFederated = {"run.mode=federated", "federated.clients=4", "federated.cohort=2"};

class SplitTest : public AppTest {
 protected:
  Words split(const Words& changes = {}) const { return Words{"split"} + train("r", kFederated + changes); }
};

TEST_F(SplitTest, PrintsAndWritesThePartition) {
  const auto result = call(split({"run.name=small"}));
  ASSERT_EQ(result.code, 0) << result.text();
  EXPECT_NE(result.out.find("partition iid, seed 0\nclients   4\nimages    50 of 50\nsizes     12 to 13"),
            std::string::npos)
      << result.text();
  EXPECT_TRUE(read("splits/small/partition.txt").starts_with("rn_dist partition 1\nclients 4\nimages 50\n"));
  EXPECT_TRUE(read("splits/small/partition.svg").starts_with("<svg "));
  EXPECT_FALSE(std::filesystem::exists(path("r"))) << "no run has begun";
}

TEST_F(SplitTest, WhatItWritesIsReadAgain) {
  const Words skewed = {"federated.partition=dirichlet_class", "federated.alpha=1"};
  ASSERT_EQ(call(split(skewed) + Words{"--out", "a"}).code, 0);
  const auto again =
      call(split({"federated.partition=file", "federated.partition_file=a/partition.txt", "run.seed=9"}) +
           Words{"--out=b"});
  ASSERT_EQ(again.code, 0) << again.text();
  EXPECT_EQ(read("a/partition.txt"), read("b/partition.txt"));
}

TEST_F(SplitTest, UnderMpirunOneRankSpeaks) {
  const auto result = call(split(), 2);
  ASSERT_EQ(result.code, 0) << result.text();
  EXPECT_EQ(result.out.find("clients   4"), result.out.rfind("clients   4")) << result.text();
}

TEST_F(SplitTest, RefusalsSayWhatToDo) {
  const auto expect = [&](const Words& words, int code, const std::string& said) {
    const auto result = call(words);
    EXPECT_EQ(result.code, code) << result.text();
    EXPECT_NE(result.err.find(said), std::string::npos) << result.text();
  };
  expect({"split"}, 2, "usage: rn_dist split CONFIG.yaml");
  expect(split() + Words{"--where", "a"}, 2, "unknown option --where");
  expect(split() + Words{"--out"}, 2, "--out needs a folder");
  expect({"split", "c.yaml"}, 2, "set run.mode: federated");
  expect({"split", "c.yaml", "run.mode=federated", "federated.clients=51"}, 2,
         "needs 51 images (one per client");
  expect(split({"federated.partition=dirichlet_class", "federated.alpha=0"}), 2, "federated.alpha");
  write("bad.txt", "rn_dist partition 1\nclients 4\nimages 50\n1\n2\n3\n50\n");
  expect(split({"federated.partition=file", "federated.partition_file=bad.txt"}), 4,
         "bad.txt:7: client 3: image 50 of a training set of 50");
}

}  // namespace
}  // namespace rn::app_testing
