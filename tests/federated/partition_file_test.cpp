#include "federated/partition_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "core/error.h"
#include "core/random.h"
#include "federated/partition_testing.h"
#include "support/memory_file_system.h"
#include "support/temporary_directory.h"

namespace rn::federated {
namespace {

using testing_partitions::mixed_labels;
using testing_partitions::options_of;
using testing_support::TemporaryDirectory;

const std::vector<std::uint8_t> kLabels = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2};
const LabelView kData = {kLabels, 3};
const std::string kHeader = "rn_dist partition 1\nclients 2\nimages 12\n";

class PartitionFileTest : public testing::Test {
 protected:
  std::string write(const std::string& text) const {
    const auto path = folder_ / "split.txt";
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  Partition load(const std::string& text) const {
    return load_partition(io::posix_file_system(), write(text), kData);
  }
  // What is said, without the path.
  std::string refusal(const std::string& text) const {
    try {
      load(text);
    } catch (const DataError& error) {
      const std::string said = error.what();
      return said.substr(said.find("split.txt") + 9);
    }
    return "nothing refused";
  }
  TemporaryDirectory folder_;
};

TEST_F(PartitionFileTest, WhatIsSavedIsLoaded) {
  const auto labels = mixed_labels(10, 100);
  for (const std::string kind : {"iid", "dirichlet_class", "shards"}) {
    const auto partition = make_partition(options_of(kind, 20), {labels, 10}, 3);
    save_partition(io::posix_file_system(), folder_ / "saved", partition, {labels, 10});
    EXPECT_EQ(load_partition(io::posix_file_system(), folder_ / "saved", {labels, 10}), partition) << kind;
  }
}

TEST_F(PartitionFileTest, IsAKindOfPartition) {
  const auto partition = make_partition(options_of("quantity", 3), kData, 3);
  save_partition(io::posix_file_system(), folder_ / "saved", partition, kData);
  auto options = options_of("file", 3);
  options.partition_file = folder_ / "saved";
  EXPECT_EQ(make_partition(options, kData, 99), partition);
  options.clients = 4;
  EXPECT_THROW(make_partition(options, kData, 99), ConfigError);
}

TEST_F(PartitionFileTest, MayBeWrittenByHand) {
  const auto partition = load("# mine\n" + kHeader + "\n3 0\t7 \r\n\n# the other\n1 7");
  ASSERT_EQ(partition.clients(), 2);
  EXPECT_EQ(std::vector(partition.of(0).begin(), partition.of(0).end()),
            (std::vector<std::uint32_t>{0, 3, 7}));
  EXPECT_EQ(std::vector(partition.of(1).begin(), partition.of(1).end()), (std::vector<std::uint32_t>{1, 7}));
}

TEST_F(PartitionFileTest, RefusalsNameTheLineAndTheReason) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", ":1: no partition"},
      {"{\"clients\": 2}\n",
       ":1: no partition: the first line is not 'rn_dist partition 1' but '{\"clients\": 2}'"},
      {"rn_dist partition 1\n", ":1: the file ends where 'clients <number>' belongs"},
      {"rn_dist partition 1\nclients two\n", ":2: expected 'clients <number>', found 'clients two'"},
      {"rn_dist partition 1\nclients 2 3\n", ":2: expected"},
      {"rn_dist partition 1\nclients -2\n", ":2: expected"},
      {"rn_dist partition 1\nclients 99999999999999999999\n", ":2: expected"},
      {"rn_dist partition 1\nclients 0\nimages 12\n", ":3: 0 clients"},
      {"rn_dist partition 1\nclients 2\nimages 13\n",
       ":3: the partition is of 13 images, the training set has 12"},
      {kHeader + "labels 0123456789abcdef\n1\n2\n", ":4: the partition was made for other labels"},
      {kHeader + "labels \n1\n2\n", ":4: expected 'labels <hash>'"},
      {kHeader + "1 2\n3 x4\n", ":5: client 1: 'x4' is not the index of an image"},
      {kHeader + "1 2\n3 -4\n", ":5: client 1: '-4' is not"},
      {kHeader + "1 2.5\n3\n", ":4: client 0: '2.5' is not"},
      {kHeader + "1 12\n3\n", ":4: client 0: image 12 of a training set of 12"},
      {kHeader + "1 4294967297\n3\n", ":4: client 0: image 4294967297 of"},
      {kHeader + "1 5 1\n3\n", ":4: client 0: image 1 stands there twice"},
      {kHeader + "1\n", "the file ends after 1 of 2 clients"},
      {kHeader + "1\n\n", "the file ends after 1 of 2 clients"},
      {kHeader + "1\n2\n3\n", ":6: more lines than the 2 clients of the header"},
      {kHeader + std::string("1 \x01\x02\n2\n"),
       ":4: client 0: '?"
       "?' is not"},
  };
  for (const auto& [text, words] : cases) {
    const auto said = refusal(text);
    EXPECT_NE(said.find(words), std::string::npos) << "for:\n" << text << "\nsaid: " << said;
  }
  EXPECT_THROW(load_partition(io::posix_file_system(), folder_ / "absent", kData), DataError);
}

TEST_F(PartitionFileTest, DamagedFilesAreRefusedOrStillPartitions) {
  const auto labels = mixed_labels(3, 10);
  const LabelView data = {labels, 3};
  const auto path = folder_ / "saved";
  save_partition(io::posix_file_system(), path, make_partition(options_of("iid", 4), data, 1), data);
  std::ifstream file(path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(file)), {});
  int refused = 0;
  constexpr int kCases = 500;
  for (std::uint64_t seed = 0; seed < kCases; ++seed) {
    CounterRandom random(seed, Purpose::kOrder, 0, 0);
    std::string text = whole.substr(
        0, random.below(4) == 0 ? random.below(static_cast<std::uint32_t>(whole.size())) : whole.size());
    if (!text.empty())
      text[random.below(static_cast<std::uint32_t>(text.size()))] = static_cast<char>(random.below(256));
    try {
      const auto partition = load_partition(io::posix_file_system(), write(text), data);
      ASSERT_EQ(partition.clients(), 4) << "seed " << seed;
      for (std::int64_t client = 0; client < 4; ++client) {
        ASSERT_GT(partition.size(client), 0) << "seed " << seed;
        ASSERT_LT(partition.of(client).back(), labels.size()) << "seed " << seed;
      }
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, kCases / 4);
}

TEST_F(PartitionFileTest, IsThereWholeOrNotAtAll) {
  const auto partition = make_partition(options_of("iid", 4), kData, 1);
  testing_support::MemoryFileSystem files;
  save_partition(files, "split", partition, kData);
  const auto operations = files.operations();
  for (std::size_t at = 0; at < operations; ++at) {
    testing_support::MemoryFileSystem full;
    full.fill_disk_at(at);
    try {
      save_partition(full, "split", partition, kData);
    } catch (const Error&) {
    }
    if (full.exists("split")) {
      EXPECT_EQ(load_partition(full, "split", kData), partition) << "operation " << at;
    }
  }
}

}  // namespace
}  // namespace rn::federated
