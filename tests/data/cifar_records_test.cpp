#include "data/cifar_records.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "data/cifar_binary.h"
#include "data/cifar_writer.h"
#include "data/data_fixtures.h"
#include "data/loader.h"

namespace rn::data {
namespace {

using namespace testing;

// A synthetic set of 15 training and 4 test images in the binary layout.
class CifarRecordsTest : public ::testing::Test {
 protected:
  CifarRecordsTest() { write_cifar_binary(train_, test_, folder_.path(), {.synthetic = true}); }

  std::string file(const std::string& name) const { return folder_.path("cifar-10-batches-bin/" + name); }
  DataOptions options(Storage storage, std::int64_t validation = 0) const {
    return {.root = folder_.path(), .validation = validation, .storage = storage};
  }
  static void poke(const std::string& path, std::int64_t offset, char value) {
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(offset).put(value);
  }

  const ImageSet train_ = random_images(15, 1), test_ = random_images(4, 2);
  const TemporaryFolder folder_;
};

std::vector<std::uint8_t> copy_of(const ImageSet& images, std::int64_t i) {
  std::vector<std::uint8_t> scratch;
  const auto image = images.read(i, scratch);
  return {image.begin(), image.end()};
}

void expect_same_images(const ImageSet& in_files, const ImageSet& in_memory) {
  EXPECT_TRUE(in_files.pixels.empty());
  EXPECT_EQ(in_files.labels, in_memory.labels);
  ASSERT_EQ(in_files.size, in_memory.size);
  for (std::int64_t i = 0; i < in_memory.size; ++i) {
    EXPECT_EQ(copy_of(in_files, i), copy_of(in_memory, i)) << "image " << i;
  }
}

TEST_F(CifarRecordsTest, GivesWhatMemoryGives) {
  for (const std::int64_t validation : {0, 6}) {
    const auto files = open_dataset(options(Storage::kFiles, validation), 3);
    const auto memory = open_dataset(options(Storage::kMemory, validation), 3);
    expect_same_images(files->train, memory->train);
    expect_same_images(files->val, memory->val);
    expect_same_images(files->test, memory->test);
    EXPECT_EQ(files->content_hash, memory->content_hash);
  }
}

TEST_F(CifarRecordsTest, BatchesAreTheSame) {
  const auto files = open_dataset(options(Storage::kFiles), 0),
             memory = open_dataset(options(Storage::kMemory), 0);
  const AugmentOptions augment;
  ShardRequest request{.indices = {14, 0, 7, 7}};
  for (const std::int64_t index : request.indices)
    request.draws.push_back(draw_augment(augment, 32, 32, 5, 2, index));
  const auto ours = make_batch(files->train, augment, request),
             expected = make_batch(memory->train, augment, request);
  EXPECT_EQ(ours.images, expected.images);
  EXPECT_EQ(ours.labels, expected.labels);
}

TEST_F(CifarRecordsTest, AutoIsWhatTheCallerMeansAsFarAsTheSetAllows) {
  EXPECT_EQ(open_dataset(options(Storage::kAuto), 0)->train.files, nullptr);
  EXPECT_NE(open_dataset(options(Storage::kAuto), 0, Storage::kFiles)->train.files, nullptr);
  EXPECT_EQ(open_dataset(options(Storage::kMemory), 0, Storage::kFiles)->train.files, nullptr);
  const TemporaryFolder packed;
  write_small_folder(packed.path(), random_images(15, 1), random_images(2, 2), CifarEncoding::kPickle);
  EXPECT_FALSE(stays_in_files({.path = packed.path(), .encoding = CifarEncoding::kPickle}));
  EXPECT_FALSE(stays_in_files({.path = packed.path("a.tar.gz"), .archive = true}));
  EXPECT_EQ(open_dataset({.dataset = "synthetic"}, 0, Storage::kFiles)->train.files, nullptr);
  expect_error<ConfigError>([] { open_dataset({.dataset = "synthetic", .storage = Storage::kFiles}, 0); },
                            {"data.storage: files", "only CIFAR-10's"});
}

// Each case breaks a set of its own.
TEST_F(CifarRecordsTest, BadFilesAreRefusedInTheWordsOfTheReaderIntoMemory) {
  struct Case {
    std::string file;
    std::function<void(const std::string&)> damage;
    std::string words;
  };
  const std::vector<Case> cases = {
      {"data_batch_2.bin", [](const auto& path) { std::filesystem::resize_file(path, 3 * 3073 - 1); },
       " is truncated: 9218 bytes instead of 9219 (3 records of 3073); it ends in record 2, byte 3072"},
      {"test_batch.bin", [](const auto& path) { std::filesystem::resize_file(path, 4 * 3073 + 1); },
       " is oversized"},
      {"data_batch_5.bin", [](const auto& path) { std::filesystem::remove(path); }, " is missing"},
      {"data_batch_4.bin", [](const auto& path) { poke(path, 2 * 3073, 10); },
       ": record 2 (byte 6146) has label 10"}};
  for (const Case& broken : cases) {
    const TemporaryFolder folder;
    write_cifar_binary(train_, test_, folder.path(), {.synthetic = true});
    const auto path = folder.path("cifar-10-batches-bin/" + broken.file);
    broken.damage(path);
    for (const Storage storage : {Storage::kFiles, Storage::kMemory}) {
      expect_error<DataError>([&] { open_dataset({.root = folder.path(), .storage = storage}, 0); },
                              {path + broken.words, kReplaceHint});
    }
  }
}

TEST_F(CifarRecordsTest, AFileThatChangesDuringTheRunIsNamed) {
  const auto dataset = open_dataset(options(Storage::kFiles), 0);
  std::vector<std::uint8_t> scratch;
  const auto path = file("data_batch_3.bin");
  poke(path, 3073, static_cast<char>((train_.labels[7] + 1) % 10));
  expect_error<DataError>([&] { (void)dataset->train.read(7, scratch); },
                          {path + ": record 1 has label", "was written to during the run"});
  std::filesystem::resize_file(path, 2 * 3073);
  expect_error<DataError>(
      [&] { (void)dataset->train.read(8, scratch); },
      {path + ": record 2 could be read at the start", "it ends there", "data.storage: memory"});
  EXPECT_EQ(copy_of(dataset->train, 6), copy_of(train_, 6));
}

TEST_F(CifarRecordsTest, ASetThatIsReplacedUnderItsNameStaysReadable) {
  const auto dataset = open_dataset(options(Storage::kFiles), 0);
  std::filesystem::remove_all(folder_.path("cifar-10-batches-bin"));
  expect_same_images(dataset->train, train_);
  expect_same_images(dataset->test, test_);
}

}  // namespace
}  // namespace rn::data
