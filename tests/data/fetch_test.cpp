#include "data/fetch.h"

#include <sstream>

#include "data/cifar_dataset.h"
#include "data/cifar_writer.h"
#include "data/data_fixtures.h"
#include "data/http_server.h"
#include "data/sha256.h"

namespace rn::data {
namespace {

using namespace testing;

class FetchTest : public ::testing::Test {
 protected:
  // Options for `servers` that expect the small archive.
  FetchOptions options(std::vector<std::string> urls) {
    write_bytes(scratch_.path("archive"), archive_);
    FetchOptions options;
    options.root = folder_.path("cifar");
    options.urls = std::move(urls);
    options.size = archive_.size();
    options.sha256 = sha256_of_file(scratch_.path("archive"));
    options.counts = kSmallCounts;
    options.retry_delay = std::chrono::milliseconds(1);
    return options;
  }

  void expect_fetched(const FetchOptions& wanted) {
    EXPECT_EQ(fetch_cifar10(wanted, out_), folder_.path("cifar/cifar-10-batches-bin"));
    auto location = find_cifar(wanted.root).value();
    location.counts = kSmallCounts;
    const auto splits = read_cifar(location);
    expect_same(splits.train, train_);
    expect_same(splits.test, test_);
    EXPECT_FALSE(std::filesystem::exists(folder_.path("cifar/cifar-10-binary.tar.gz.part")));
  }

  std::string part() const { return folder_.path("cifar/cifar-10-binary.tar.gz.part"); }

  const ScopedVariable no_proxy_{"no_proxy", "127.0.0.1"};
  const TemporaryFolder folder_, scratch_;
  const ImageSet train_ = random_images(kSmallCounts.train(), 1);
  const ImageSet test_ = random_images(kSmallCounts.test(), 2);
  const std::string archive_ = small_archive(train_, test_, CifarEncoding::kBinary);
  std::ostringstream out_;
};

TEST_F(FetchTest, DownloadsVerifiesAndUnpacks) {
  const HttpServer server({.body = archive_, .cut_after = {}});
  expect_fetched(options({server.url()}));
  EXPECT_FALSE(std::filesystem::exists(folder_.path("cifar/cifar-10-binary.tar.gz")));
  EXPECT_NE(out_.str().find("(100 %)"), std::string::npos) << out_.str();
  EXPECT_EQ(server.offsets(), (std::vector<std::int64_t>{0}));
}

TEST_F(FetchTest, KeepsASetThatIsThereAndReplacesItByForce) {
  const HttpServer server({.body = archive_, .cut_after = {}});
  auto wanted = options({server.url()});
  expect_fetched(wanted);
  expect_fetched(wanted);
  EXPECT_EQ(server.offsets().size(), 1u);
  EXPECT_NE(out_.str().find("there already"), std::string::npos);
  wanted.force = true;
  wanted.keep_archive = true;
  expect_fetched(wanted);
  EXPECT_EQ(server.offsets().size(), 2u);
  expect_fetched(wanted);  // from the archive that was kept
  EXPECT_EQ(server.offsets().size(), 2u);
}

TEST_F(FetchTest, ReplacesAnIncompleteSet) {
  const HttpServer server({.body = archive_, .cut_after = {}});
  const auto wanted = options({server.url()});
  expect_fetched(wanted);
  std::filesystem::resize_file(folder_.path("cifar/cifar-10-batches-bin/data_batch_1.bin"), 100);
  expect_fetched(wanted);
  EXPECT_EQ(server.offsets().size(), 2u);
}

TEST_F(FetchTest, PutsTheSetBesideItselfWhenTheFolderOfTheFilesIsNamed) {
  const HttpServer server({.body = archive_, .cut_after = {}});
  auto wanted = options({server.url()});
  wanted.root = folder_.path("cifar/cifar-10-batches-bin/");
  EXPECT_EQ(fetch_cifar10(wanted, out_), folder_.path("cifar/cifar-10-batches-bin"));
}

TEST_F(FetchTest, ContinuesAfterCutConnections) {
  const HttpServer server({.body = archive_, .cut_after = {1000, 5000, 0}});
  expect_fetched(options({server.url()}));
  EXPECT_EQ(server.offsets(), (std::vector<std::int64_t>{0, 1000, 6000, 6000}));
}

TEST_F(FetchTest, ContinuesWhatAnEarlierCallLeft) {
  const HttpServer server({.body = archive_, .cut_after = {}});
  write_bytes(part(), archive_.substr(0, 4321));
  expect_fetched(options({server.url()}));
  EXPECT_EQ(server.offsets(), (std::vector<std::int64_t>{4321}));
}

TEST_F(FetchTest, StartsOverWhereTheServerKnowsNoRanges) {
  const HttpServer server({.body = archive_, .ranges = false, .cut_after = {}});
  write_bytes(part(), archive_.substr(0, 4321));
  expect_fetched(options({server.url()}));
  EXPECT_EQ(server.offsets(), (std::vector<std::int64_t>{4321, 0}));
}

TEST_F(FetchTest, StartsOverWhenThePartIsLongerThanTheFile) {
  const HttpServer server({.body = archive_, .cut_after = {}});
  write_bytes(part(), archive_ + "more");
  expect_fetched(options({server.url()}));
  EXPECT_EQ(server.offsets(), (std::vector<std::int64_t>{0}));
}

TEST_F(FetchTest, TakesTheNextMirror) {
  const HttpServer gone({.body = "", .status = 404, .cut_after = {}});
  std::string wrong = archive_;
  wrong[wrong.size() / 2] = static_cast<char>(wrong[wrong.size() / 2] ^ 1);
  const HttpServer forged({.body = wrong, .cut_after = {}});
  const HttpServer longer({.body = archive_ + "x", .cut_after = {}});
  const HttpServer good({.body = archive_, .cut_after = {}});
  expect_fetched(options({gone.url(), forged.url(), longer.url(), good.url()}));
  EXPECT_EQ(gone.offsets().size(), 1u) << "a missing page is not asked for again";
}

TEST_F(FetchTest, AWrongChecksumIsADataErrorAndNothingStays) {
  std::string wrong = archive_;
  wrong[100] = static_cast<char>(wrong[100] ^ 1);
  const HttpServer server({.body = wrong, .cut_after = {}});
  const auto wanted = options({server.url()});
  expect_error<DataError>([&] { fetch_cifar10(wanted, out_); },
                          {server.url(), "instead of " + wanted.sha256, "removed"});
  EXPECT_FALSE(std::filesystem::exists(part()));
  EXPECT_FALSE(find_cifar(wanted.root).has_value());
}

TEST_F(FetchTest, ADeadNetworkIsAFailureThatSaysHowToGoOn) {
  std::string dead;
  {
    dead = HttpServer({.body = "", .cut_after = {}}).url();
  }
  const HttpServer cut({.body = archive_, .cut_after = {700, 0, 0, 0, 0}});
  const auto wanted = options({dead, cut.url()});
  try {
    fetch_cifar10(wanted, out_);
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kFailure);
    for (const auto& part :
         {dead, cut.url(), std::string("700 of "), std::string("Run the same command again"),
          std::string("https_proxy"), std::string("--mirror"), std::string("data import")}) {
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << part << " in " << e.what();
    }
  }
  EXPECT_EQ(std::filesystem::file_size(part()), 700u);
  EXPECT_EQ(cut.offsets().size(), 4u);
}

TEST_F(FetchTest, RefusesToReplaceASyntheticSetUnasked) {
  write_cifar_binary(random_images(5, 1), random_images(1, 2), folder_.path("cifar"), {.synthetic = true});
  const HttpServer server({.body = archive_, .cut_after = {}});
  auto wanted = options({server.url()});
  expect_error<DataError>([&] { fetch_cifar10(wanted, out_); }, {"synthetic", "rn_dist data fetch --force"});
  wanted.force = true;
  expect_fetched(wanted);
}

TEST_F(FetchTest, AnArchiveThatIsBrokenInsideLeavesTheOldSet) {
  const HttpServer server({.body = archive_, .cut_after = {}});
  auto wanted = options({server.url()});
  expect_fetched(wanted);
  ImageSet bad = test_;
  bad.labels[0] = 99;
  const std::string broken = small_archive(train_, bad, CifarEncoding::kBinary);
  const HttpServer other({.body = broken, .cut_after = {}});
  write_bytes(scratch_.path("broken"), broken);
  auto next = wanted;
  next.urls = {other.url()};
  next.size = broken.size();
  next.sha256 = sha256_of_file(scratch_.path("broken"));
  next.force = true;
  expect_error<DataError>([&] { fetch_cifar10(next, out_); }, {"test_batch.bin: record 0", "label 99"});
  expect_fetched(wanted);
}

TEST(Sha256Test, KnowsThePublishedValues) {
  const TemporaryFolder folder;
  write_bytes(folder.path("abc"), "abc");
  EXPECT_EQ(sha256_of_file(folder.path("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  write_bytes(folder.path("million"), std::string(1'000'000, 'a'));
  EXPECT_EQ(sha256_of_file(folder.path("million")),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  expect_error<DataError>([&] { sha256_of_file(folder.path("absent")); }, {"absent"});
}

}  // namespace
}  // namespace rn::data
