#include "data/cifar_dataset.h"

#include "data/data_fixtures.h"

namespace rn::data {
namespace {

using namespace testing;

class CifarDatasetTest : public ::testing::Test {
 protected:
  // A folder of small files in `encoding` below the temporary folder; its location has the small counts.
  CifarLocation small_folder(CifarEncoding encoding) {
    write_small_folder(folder_.path(cifar_folder_name(encoding)), train_, test_, encoding);
    return located(folder_.path());
  }

  CifarLocation located(const std::string& root) {
    auto location = find_cifar(root).value();
    location.counts = kSmallCounts;
    return location;
  }

  void expect_read(const CifarLocation& location) {
    const CifarSplits splits = read_cifar(location);
    expect_same(splits.train, train_);
    expect_same(splits.test, test_);
  }

  TemporaryFolder folder_;
  const ImageSet train_ = random_images(kSmallCounts.train(), 1);
  const ImageSet test_ = random_images(kSmallCounts.test(), 2);
};

TEST_F(CifarDatasetTest, ReadsTheBinaryFolderByItsParentOrItself) {
  const auto location = small_folder(CifarEncoding::kBinary);
  EXPECT_EQ(location.path, folder_.path("cifar-10-batches-bin"));
  expect_read(location);
  expect_read(located(folder_.path("cifar-10-batches-bin")));
}

TEST_F(CifarDatasetTest, ReadsTorchvisionsFolderByItsParentOrItself) {
  expect_read(small_folder(CifarEncoding::kPickle));
  expect_read(located(folder_.path("cifar-10-batches-py")));
}

TEST_F(CifarDatasetTest, PrefersTheBinaryFolder) {
  small_folder(CifarEncoding::kPickle);
  EXPECT_EQ(small_folder(CifarEncoding::kBinary).encoding, CifarEncoding::kBinary);
}

TEST_F(CifarDatasetTest, ReadsBothArchivesByFolderOrName) {
  for (const auto& [name, encoding] : {std::pair("cifar-10-binary.tar.gz", CifarEncoding::kBinary),
                                       std::pair("cifar-10-python.tar.gz", CifarEncoding::kPickle)}) {
    SCOPED_TRACE(name);
    TemporaryFolder folder;
    write_bytes(folder.path(name), small_archive(train_, test_, encoding));
    expect_read(located(folder.path()));
    expect_read(located(folder.path(name)));
  }
}

TEST_F(CifarDatasetTest, NamesAMissingFile) {
  const auto location = small_folder(CifarEncoding::kBinary);
  std::filesystem::remove(folder_.path("cifar-10-batches-bin/data_batch_4.bin"));
  expect_error<DataError>([&] { read_cifar(location); },
                          {"data_batch_4.bin is missing", "rn_dist data fetch"});
}

TEST_F(CifarDatasetTest, NamesTheRecordWhereAFileEnds) {
  const auto location = small_folder(CifarEncoding::kBinary);
  const auto path = folder_.path("cifar-10-batches-bin/data_batch_2.bin");
  std::filesystem::resize_file(path, 2 * 3073 + 11);
  expect_error<DataError>(
      [&] { read_cifar(location); },
      {"data_batch_2.bin is truncated", "6157 bytes instead of 9219", "ends in record 2, byte 11"});
  std::filesystem::resize_file(path, 0);
  expect_error<DataError>([&] { read_cifar(location); },
                          {"data_batch_2.bin is truncated", "ends in record 0"});
}

TEST_F(CifarDatasetTest, RefusesAnOversizedFile) {
  const auto location = small_folder(CifarEncoding::kBinary);
  std::filesystem::resize_file(folder_.path("cifar-10-batches-bin/test_batch.bin"), 2 * 3073 + 1);
  expect_error<DataError>([&] { read_cifar(location); },
                          {"test_batch.bin is oversized", "6147 bytes instead of 6146"});
  std::filesystem::resize_file(folder_.path("cifar-10-batches-bin/test_batch.bin"), 9 * 3073);
  expect_error<DataError>([&] { read_cifar(location); },
                          {"test_batch.bin is oversized", "27657 bytes instead of 6146"});
}

TEST_F(CifarDatasetTest, NamesTheRecordOfABadLabel) {
  const auto location = small_folder(CifarEncoding::kBinary);
  const auto path = folder_.path("cifar-10-batches-bin/data_batch_5.bin");
  auto bytes = read_bytes(path);
  bytes[3073] = 10;
  write_bytes(path, bytes);
  expect_error<DataError>([&] { read_cifar(location); },
                          {"data_batch_5.bin: record 1 (byte 3073) has label 10"});
}

TEST_F(CifarDatasetTest, NamesTheRecordOfABadLabelInAPickle) {
  const auto location = small_folder(CifarEncoding::kPickle);
  ImageSet bad = train_;
  bad.labels[2] = 200;
  write_bytes(folder_.path("cifar-10-batches-py/data_batch_1"), pickle_records(bad, 0, 3));
  expect_error<DataError>([&] { read_cifar(location); }, {"data_batch_1: record 2 has label 200"});
}

TEST_F(CifarDatasetTest, RefusesAPickleWithAnotherCount) {
  const auto location = small_folder(CifarEncoding::kPickle);
  write_bytes(folder_.path("cifar-10-batches-py/data_batch_3"), pickle_records(train_, 0, 4));
  expect_error<DataError>([&] { read_cifar(location); },
                          {"data_batch_3: 'data' has shape [4, 3072] instead of [3, 3072]"});
}

TEST_F(CifarDatasetTest, ChecksEveryFileInsteadOfStoppingAtTheFirst) {
  const auto location = small_folder(CifarEncoding::kBinary);
  std::filesystem::remove(folder_.path("cifar-10-batches-bin/data_batch_1.bin"));
  std::filesystem::resize_file(folder_.path("cifar-10-batches-bin/test_batch.bin"), 5);
  const auto splits = check_cifar(location);
  std::vector<bool> good;
  for (const auto& file : splits.files) good.push_back(file.error.empty());
  EXPECT_EQ(good, (std::vector{false, true, true, true, true, false}));
}

TEST_F(CifarDatasetTest, NamesAMemberThatTheArchiveLacks) {
  const std::string tar = tar_member("cifar-10-batches-bin/data_batch_1.bin", binary_records(train_, 0, 3));
  write_bytes(folder_.path("cifar-10-binary.tar.gz"), gzip(tar + std::string(1024, '\0')));
  expect_error<DataError>([&] { read_cifar(located(folder_.path())); },
                          {"cifar-10-binary.tar.gz does not hold data_batch_2.bin"});
}

TEST_F(CifarDatasetTest, NamesTheArchivesMemberAndItsRecord) {
  ImageSet bad = test_;
  bad.labels[1] = 77;
  write_bytes(folder_.path("cifar-10-binary.tar.gz"), small_archive(train_, bad, CifarEncoding::kBinary));
  expect_error<DataError>(
      [&] { read_cifar(located(folder_.path())); },
      {"cifar-10-binary.tar.gz:cifar-10-batches-bin/test_batch.bin: record 1", "label 77"});
}

TEST_F(CifarDatasetTest, RefusesOversizedMembersWithoutReadingThem) {
  const std::string tar = tar_member("cifar-10-batches-bin/test_batch.bin", std::string(1 << 20, '\1'));
  write_bytes(folder_.path("a.tar.gz"), gzip(tar + std::string(1024, '\0')));
  const auto splits = check_cifar(located(folder_.path("a.tar.gz")));
  EXPECT_NE(splits.files[5].error.find("oversized: 1048576 bytes"), std::string::npos)
      << splits.files[5].error;
}

TEST_F(CifarDatasetTest, AFolderOfAnotherKindIsNoSet) {
  write_bytes(folder_.path("readme.txt"), "nothing");
  EXPECT_FALSE(find_cifar(folder_.path()).has_value());
  EXPECT_FALSE(find_cifar(folder_.path("absent")).has_value());
}

TEST_F(CifarDatasetTest, LooksCompleteOnlyWithAllSizesRight) {
  const auto location = small_folder(CifarEncoding::kBinary);
  EXPECT_TRUE(looks_complete(location));
  std::filesystem::resize_file(folder_.path("cifar-10-batches-bin/data_batch_3.bin"), 3 * 3073 - 1);
  EXPECT_FALSE(looks_complete(location));
}

TEST_F(CifarDatasetTest, RefusesADamagedSyntheticMarker) {
  small_folder(CifarEncoding::kBinary);
  for (const char* text : {"", "train_records_per_file 0\ntest_records 2\n", "train_records_per_file 3\n",
                           "train_records_per_file 99999999999\ntest_records 2\n"}) {
    write_bytes(folder_.path("cifar-10-batches-bin/SYNTHETIC.txt"), text);
    expect_error<DataError>([&] { find_cifar(folder_.path()); }, {"SYNTHETIC.txt is damaged"});
  }
}

}  // namespace
}  // namespace rn::data
