#include "dist/node_report.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/random.h"
#include "core/tensor_hash.h"
#include "support/temporary_directory.h"

namespace rn::dist {
namespace {

namespace fs = std::filesystem;

NodeReport sample() {
  NodeReport report{77, 5, 1, false, {}};
  for (int rank = 2; rank < 4; ++rank) {
    RowSnapshot row;
    row.rank = rank;
    row.pid = 100 + rank;
    row.phase = Phase::kData;
    row.step = 12;
    row.collective = 40;
    row.stalled_seconds = 1.5;
    std::strcpy(row.host.data(), "beta");
    report.rows.push_back(row);
  }
  return report;
}

void expect_sample(const std::optional<NodeReport>& report) {
  ASSERT_TRUE(report);
  EXPECT_EQ(report->run, 77u);
  EXPECT_EQ(report->number, 5);
  EXPECT_EQ(report->node, 1);
  EXPECT_FALSE(report->last);
  ASSERT_EQ(report->rows.size(), 2u);
  EXPECT_EQ(report->rows[1].rank, 3);
  EXPECT_EQ(report->rows[1].phase, Phase::kData);
  EXPECT_EQ(report->rows[1].collective, 40);
  EXPECT_EQ(report->rows[1].stalled_seconds, 1.5);
  EXPECT_STREQ(report->rows[1].host.data(), "beta");
}

TEST(NodeReportTest, ComesBackFromItsBytesAlsoInALongerBuffer) {
  auto bytes = pack(sample());
  EXPECT_EQ(bytes.size(), packed_size(2));
  expect_sample(unpack(bytes));
  bytes.resize(bytes.size() + 100);  // a buffer for the largest message
  expect_sample(unpack(bytes));
  NodeReport empty = sample();
  empty.rows.clear();
  empty.last = true;
  EXPECT_TRUE(unpack(pack(empty))->last);
}

TEST(NodeReportTest, NoDamageIsTakenForAReport) {
  const auto bytes = pack(sample());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(unpack(std::span(bytes).first(size))) << "cut to " << size;
  }
  const std::size_t header = bytes.size() - 2 * sizeof(RowSnapshot);
  for (std::size_t bit = 8 * header; bit < 8 * bytes.size(); ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(unpack(damaged)) << "bit " << bit;
  }
  constexpr std::uint64_t kSeed = 11;
  for (std::uint64_t i = 0; i < 2000; ++i) {  // of the header, all of it
    auto damaged = bytes;
    CounterRandom random(kSeed, Purpose::kSynthetic, i, 0);
    for (std::size_t at = 0; at < header; ++at) {
      if (random.below(4) == 0) damaged[at] = static_cast<std::byte>(random.below(256));
    }
    (void)unpack(damaged);  // whatever it says, nothing is read behind the end
  }
}

TEST(NodeReportTest, WhatNoRankCanBeIsRefusedEvenWithARightHash) {
  const auto refused = [](auto change) {
    NodeReport report = sample();
    change(report.rows[0]);
    return !unpack(pack(report));
  };
  EXPECT_TRUE(refused([](RowSnapshot& row) { row.rank = -1; }));
  EXPECT_TRUE(refused([](RowSnapshot& row) { row.phase = static_cast<Phase>(kPhases); }));
  EXPECT_TRUE(refused([](RowSnapshot& row) { row.process = static_cast<ProcessState>(3); }));
  EXPECT_TRUE(refused([](RowSnapshot& row) { row.collective_kind = 99; }));
  EXPECT_TRUE(refused([](RowSnapshot& row) { row.failed_code = 256; }));
  EXPECT_TRUE(refused([](RowSnapshot& row) { row.stalled_seconds = std::nan(""); }));
  NodeReport report = sample();
  std::memset(report.rows[0].host.data(), 'x', report.rows[0].host.size());
  report.rows[0].host[3] = '\033';
  EXPECT_STREQ(unpack(pack(report))->rows[0].host.data(), "xxx") << "it goes to a terminal";
}

class NodeReportFileTest : public testing::Test {
 protected:
  std::string file() const { return folder_ / ".rows.1"; }
  const testing_support::TemporaryDirectory folder_;
};

TEST_F(NodeReportFileTest, IsPublishedReplacedReadAndRemoved) {
  EXPECT_FALSE(read_node_report(folder_.path(), 1));
  EXPECT_TRUE(write_node_report(folder_.path(), sample()));
  expect_sample(read_node_report(folder_.path(), 1));
  NodeReport next = sample();
  next.number = 6;
  EXPECT_TRUE(write_node_report(folder_.path(), next));
  EXPECT_EQ(read_node_report(folder_.path(), 1)->number, 6);
  remove_node_report(folder_.path(), 1);
  EXPECT_TRUE(fs::is_empty(folder_.path())) << "no temporary either";
  EXPECT_FALSE(write_node_report(folder_ / "gone", sample()));
}

TEST_F(NodeReportFileTest, LinksPipesAndForeignFilesAreNotRead) {
  EXPECT_TRUE(write_node_report(folder_.path(), sample()));
  fs::rename(file(), folder_ / "elsewhere");
  fs::create_symlink(folder_ / "elsewhere", file());
  EXPECT_FALSE(read_node_report(folder_.path(), 1)) << "a link is not followed";
  EXPECT_TRUE(write_node_report(folder_.path(), sample()));
  EXPECT_FALSE(fs::is_symlink(file())) << "and is replaced, not written through";
  fs::rename(file(), folder_ / ".rows.2");
  EXPECT_FALSE(read_node_report(folder_.path(), 2)) << "it is node 1's";
  ASSERT_EQ(mkfifo(file().c_str(), 0600), 0);
  EXPECT_FALSE(read_node_report(folder_.path(), 1)) << "without waiting for a writer";
  fs::remove(file());
  std::ofstream(file()) << "something else";
  EXPECT_FALSE(read_node_report(folder_.path(), 1));
}

}  // namespace
}  // namespace rn::dist
