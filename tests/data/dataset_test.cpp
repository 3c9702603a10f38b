#include "data/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "data/cifar_dataset.h"
#include "data/cifar_writer.h"
#include "data/content_hash.h"
#include "data/data_fixtures.h"
#include "data/statistics.h"
#include "data/synthetic_dataset.h"

namespace rn::data {
namespace {

using namespace testing;

DataOptions synthetic_options() {
  return {.dataset = "synthetic", .synthetic_train = 200, .synthetic_test = 50};
}

TEST(OpenDatasetTest, MissingDataIsAnErrorWithTheLineToType) {
  const TemporaryFolder folder;
  const ScopedVariable variable("RN_CIFAR10_DIR", folder.path("nowhere").c_str());
  expect_error<DataError>([&] { open_dataset({}, 0); }, {"no CIFAR-10 in " + folder.path("nowhere"),
                                                         "RN_CIFAR10_DIR", "\n  rn_dist data fetch\n"});
  expect_error<DataError>([&] { open_dataset({.root = folder.path("x")}, 0); },
                          {folder.path("x"), "\n  rn_dist data fetch --root " + folder.path("x") + "\n"});
  const ScopedVariable unset("RN_CIFAR10_DIR", nullptr);
  EXPECT_EQ(cifar_root(""), "data/cifar10");
}

TEST(OpenDatasetTest, RootGoesBeforeTheVariable) {
  const TemporaryFolder named, variable_folder;
  const auto train = random_images(10, 1), test = random_images(2, 2);
  write_cifar_binary(train, test, named.path(), {.synthetic = true});
  write_cifar_binary(random_images(5, 3), test, variable_folder.path(), {.synthetic = true});
  const ScopedVariable variable("RN_CIFAR10_DIR", variable_folder.path().c_str());
  EXPECT_EQ(open_dataset({.root = named.path()}, 0)->train.size, 10);
  EXPECT_EQ(open_dataset({}, 0)->train.size, 5);
}

TEST(OpenDatasetTest, ASyntheticFolderNeverPassesForCifar) {
  const TemporaryFolder folder;
  const auto train = random_images(10, 1), test = random_images(2, 2);
  write_cifar_binary(train, test, folder.path(), {.synthetic = true, .seed = 4});
  const auto dataset = open_dataset({.root = folder.path()}, 0);
  EXPECT_EQ(dataset->name, "synthetic");
  EXPECT_EQ(dataset->source, folder.path("cifar-10-batches-bin"));
  EXPECT_EQ(dataset->classes.size(), 10u);
  expect_same(dataset->train, train);
  expect_same(dataset->test, test);
}

TEST(OpenDatasetTest, RefusesUnknownNamesAndImpossibleSplits) {
  expect_error<ConfigError>([] { open_dataset({.dataset = "cifar100"}, 0); },
                            {"data.dataset", "cifar100", "synthetic"});
  auto options = synthetic_options();
  for (const std::int64_t count : {-1, 200, 1000}) {
    options.validation = count;
    expect_error<ConfigError>([&] { open_dataset(options, 0); }, {"data.validation", cat(count)});
  }
}

// Every training image is either in train or in val, once; both keep the order of the files.
TEST(OpenDatasetTest, TheValidationSplitIsAPartitionDrawnBySeed) {
  auto options = synthetic_options();
  const auto whole = open_dataset(options, 0);
  std::set<std::uint64_t> validations;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    options.validation = 60;
    const auto split = open_dataset(options, seed);
    EXPECT_EQ(split->val.size, 60);
    EXPECT_EQ(split->train.size, 140);
    EXPECT_EQ(split->train.pixels.size(), 140u * 3072);
    std::int64_t in_train = 0, in_val = 0;
    for (std::int64_t i = 0; i < 200; ++i) {
      const auto image = whole->train.image(i);
      const auto label = whole->train.labels[static_cast<std::size_t>(i)];
      const auto matches = [&](const ImageSet& set, std::int64_t at) {
        return at < set.size && std::ranges::equal(set.image(at), image) &&
               set.labels[static_cast<std::size_t>(at)] == label;
      };
      if (matches(split->train, in_train)) {
        ++in_train;
      } else if (matches(split->val, in_val)) {
        ++in_val;
      } else {
        FAIL() << "image " << i << " is in neither split, or out of order";
      }
    }
    EXPECT_EQ(in_val, 60);
    expect_same(split->test, whole->test);
    validations.insert(content_hash(split->val, ImageSet(), ImageSet()));
    EXPECT_EQ(open_dataset(options, seed)->content_hash, split->content_hash);
  }
  EXPECT_EQ(validations.size(), 5u);
}

TEST(ContentHashTest, ChangesWithEveryPart) {
  const auto train = random_images(10, 1), test = random_images(4, 2);
  const ImageSet none;
  const auto hash = content_hash(train, none, test);
  EXPECT_EQ(content_hash(train, none, test), hash);
  auto other = train;
  other.pixels[777] ^= 1;
  EXPECT_NE(content_hash(other, none, test), hash);
  other = train;
  other.labels[3] ^= 1;
  EXPECT_NE(content_hash(other, none, test), hash);
  EXPECT_NE(content_hash(test, none, train), hash);
  EXPECT_NE(content_hash(train, test, none), hash);
}

TEST(SyntheticDatasetTest, IsTheSameEverywhereAndBalanced) {
  const auto train = make_synthetic(200, SyntheticSplit::kTrain, 0);
  EXPECT_EQ(measure(train, 10).class_counts, std::vector<std::int64_t>(10, 20));
  expect_same(make_synthetic(200, SyntheticSplit::kTrain, 0), train);
  const auto shorter = make_synthetic(50, SyntheticSplit::kTrain, 0);
  EXPECT_TRUE(std::equal(shorter.pixels.begin(), shorter.pixels.end(), train.pixels.begin()));
  EXPECT_FALSE(make_synthetic(200, SyntheticSplit::kTest, 0).pixels == train.pixels);
  EXPECT_FALSE(make_synthetic(200, SyntheticSplit::kTrain, 1).pixels == train.pixels);
}

// The nearest class mean of the training images, a weak classifier, already does far better than chance.
TEST(SyntheticDatasetTest, ClassesCanBeLearned) {
  const auto train = make_synthetic(1000, SyntheticSplit::kTrain, 0),
             test = make_synthetic(300, SyntheticSplit::kTest, 0);
  std::vector<std::vector<double>> means(10, std::vector<double>(3072));
  for (std::int64_t i = 0; i < train.size; ++i) {
    const auto image = train.image(i);
    for (std::size_t k = 0; k < 3072; ++k)
      means[train.labels[static_cast<std::size_t>(i)]][k] += image[k] / 100.0;
  }
  int right = 0;
  for (std::int64_t i = 0; i < test.size; ++i) {
    const auto image = test.image(i);
    std::vector<double> distances;
    for (const auto& mean : means) {
      double distance = 0;
      for (std::size_t k = 0; k < 3072; ++k) distance += (image[k] - mean[k]) * (image[k] - mean[k]);
      distances.push_back(distance);
    }
    const auto best = std::min_element(distances.begin(), distances.end()) - distances.begin();
    right += best == test.labels[static_cast<std::size_t>(i)];
  }
  EXPECT_GT(right, 180) << "of 300";
}

TEST(CifarWriterTest, WritesWhatTheReaderReads) {
  const TemporaryFolder folder;
  const auto train = random_images(15, 1), test = random_images(2, 2);
  const auto path = write_cifar_binary(train, test, folder.path(), {});
  EXPECT_EQ(path, folder.path("cifar-10-batches-bin"));
  EXPECT_EQ(read_bytes(path + "/data_batch_2.bin"), binary_records(train, 3, 3));
  EXPECT_EQ(read_bytes(path + "/test_batch.bin"), binary_records(test, 0, 2));
  auto location = find_cifar(folder.path()).value();
  EXPECT_FALSE(location.synthetic);
  location.counts = {.train_file = 3, .test_file = 2};
  expect_same(read_cifar(location).train, train);
}

TEST(CifarWriterTest, ReplacesOnlyWhenAskedAndLeavesNothingBehind) {
  const TemporaryFolder folder;
  const auto first = random_images(5, 1), second = random_images(5, 2), test = random_images(1, 3);
  write_cifar_binary(first, test, folder.path(), {.synthetic = true});
  expect_error<DataError>([&] { write_cifar_binary(second, test, folder.path(), {}); },
                          {"exists already", "--force"});
  expect_same(open_dataset({.root = folder.path()}, 0)->train, first);
  write_cifar_binary(second, test, folder.path(), {.replace = true, .synthetic = true});
  expect_same(open_dataset({.root = folder.path()}, 0)->train, second);
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++entries;
  EXPECT_EQ(entries, 1);
}

TEST(StatisticsTest, MeasuresMeanAndSpreadPerChannel) {
  ImageSet images{.size = 2, .channels = 3, .height = 1, .width = 2, .pixels = {}, .labels = {1, 1}};
  images.pixels = {0, 255, 10, 10, 7, 9, /* image 1 */ 0, 255, 10, 10, 9, 7};
  const auto statistics = measure(images, 3);
  EXPECT_EQ(statistics.class_counts, (std::vector<std::int64_t>{0, 2, 0}));
  EXPECT_DOUBLE_EQ(statistics.mean[0], 0.5);
  EXPECT_DOUBLE_EQ(statistics.std[0], 0.5);
  EXPECT_DOUBLE_EQ(statistics.mean[1], 10 / 255.0);
  EXPECT_DOUBLE_EQ(statistics.std[1], 0.0);
  EXPECT_DOUBLE_EQ(statistics.std[2], 1 / 255.0);
}

// The real images, where they are: see RN_CIFAR10_DIR in the README.
TEST(RealCifarTest, HasThePublishedCountsMeanAndSpread) {
  const char* root = std::getenv("RN_CIFAR10_DIR");
  const char* required = std::getenv("RN_REQUIRE_DATA");
  if (root == nullptr || *root == '\0') {
    if (required != nullptr && std::string(required) == "1") FAIL() << "RN_CIFAR10_DIR is not set";
    GTEST_SKIP() << "RN_CIFAR10_DIR is not set";
  }
  const auto dataset = open_dataset({}, 0);
  ASSERT_EQ(dataset->name, "cifar10") << dataset->source;
  const auto train = measure(dataset->train, 10);
  EXPECT_EQ(train.class_counts, std::vector<std::int64_t>(10, 5000));
  EXPECT_EQ(measure(dataset->test, 10).class_counts, std::vector<std::int64_t>(10, 1000));
  const double mean[] = {0.49139968, 0.48215841, 0.44653091}, std[] = {0.24703223, 0.24348513, 0.26158784};
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(train.mean[c], mean[c], 5e-9);
    EXPECT_NEAR(train.std[c], std[c], 5e-9);
  }
}

}  // namespace
}  // namespace rn::data
