#include "data/tar_gz_reader.h"

#include <map>

#include "core/random.h"
#include "data/data_fixtures.h"

namespace rn::data {
namespace {

using namespace testing;

// Keeps every file of up to 1 MiB.
struct Collector : TarVisitor {
  std::map<std::string, std::string> files;
  bool wants(const std::string&, std::uint64_t size) override { return size <= (1 << 20); }
  void file(const std::string& name, std::vector<std::byte> bytes) override {
    files[name] = std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
};

class TarGzReaderTest : public ::testing::Test {
 protected:
  std::map<std::string, std::string> read(const std::string& archive) {
    write_bytes(folder_.path("a.tar.gz"), archive);
    Collector collector;
    read_tar_gz(folder_.path("a.tar.gz"), collector);
    return collector.files;
  }
  void expect_refused(const std::string& archive, std::initializer_list<std::string> parts) {
    expect_error<DataError>([&] { read(archive); }, parts);
  }

  const std::string end_ = std::string(1024, '\0');
  TemporaryFolder folder_;
};

TEST_F(TarGzReaderTest, HandsOverRegularFilesOnly) {
  const std::string tar = tar_member("d/", "", '5') + tar_member("./d/a", "hello") +
                          tar_member("d/empty", "") + tar_member("d/link", "", '2') +
                          tar_member("d/hard", "", '1') + tar_member("d/pipe", "", '6') +
                          tar_member("x", "13 path=d/b\n", 'x') + tar_member("././@LongLink", "name", 'L') +
                          tar_member("d/b", std::string(1000, 'b')) + tar_member("old", "v7", '\0');
  const std::map<std::string, std::string> expected = {
      {"d/a", "hello"}, {"d/empty", ""}, {"d/b", std::string(1000, 'b')}, {"old", "v7"}};
  EXPECT_EQ(read(gzip(tar + end_)), expected);
}

TEST_F(TarGzReaderTest, NamesAreNeverPaths) {
  const auto files = read(gzip(tar_member("../../evil", "x") + tar_member("/etc/evil", "y") + end_));
  EXPECT_EQ(files.count("../../evil"), 1u);
  EXPECT_FALSE(std::filesystem::exists(folder_.path("../../evil")));
  EXPECT_FALSE(std::filesystem::exists("/etc/evil"));
}

TEST_F(TarGzReaderTest, ReadsSeveralStreamsAndZeroPadding) {
  const std::string tar = tar_member("a", "one") + tar_member("b", "two") + end_;
  const std::string archive = gzip(tar.substr(0, 700)) + gzip(tar.substr(700)) + std::string(100, '\0');
  EXPECT_EQ(read(archive), (std::map<std::string, std::string>{{"a", "one"}, {"b", "two"}}));
}

// Data that does not compress, so that it spans many pieces of input and output.
TEST_F(TarGzReaderTest, ReadsLargeMembersWhole) {
  const ImageSet noise = random_images(200, 3);
  const std::string content = binary_records(noise, 0, 200);
  const auto files = read(gzip(tar_member("a", content) + tar_member("b", std::string(900'000, 'z')) + end_));
  EXPECT_TRUE(files.at("a") == content);
  EXPECT_TRUE(files.at("b") == std::string(900'000, 'z'));
}

TEST_F(TarGzReaderTest, RefusesEveryTruncation) {
  const std::string archive = gzip(tar_member("a", binary_records(random_images(1, 4), 0, 1)) + end_);
  for (std::size_t size = 0; size < archive.size(); size += 1 + size / 20) {
    expect_refused(archive.substr(0, size), {"a.tar.gz", "truncated"});
  }
  expect_refused(archive.substr(0, archive.size() - 1), {"truncated"});
}

TEST_F(TarGzReaderTest, RefusesATarThatEndsInsideAMember) {
  expect_refused(gzip(tar_member("a", std::string(5000, 'a')).substr(0, 3000)), {"ends inside the member a"});
  expect_refused(gzip(tar_member("a", "").substr(0, 100)), {"ends inside a member header"});
}

TEST_F(TarGzReaderTest, RefusesChangedBits) {
  const std::string archive = gzip(tar_member("a", binary_records(random_images(1, 5), 0, 1)) + end_);
  CounterRandom random(9, Purpose::kSynthetic, 0, 0);
  for (int i = 0; i < 200; ++i) {
    std::string changed = archive;
    // Beyond the gzip header, whose time and system bytes carry nothing.
    const auto at = 10 + random.below(static_cast<std::uint32_t>(archive.size() - 10));
    changed[at] = static_cast<char>(changed[at] ^ (1 << random.below(8)));
    EXPECT_THROW(read(changed), DataError) << "byte " << at << ", case " << i;
  }
}

TEST_F(TarGzReaderTest, RefusesWhatIsNoArchive) {
  expect_refused("", {"truncated, 0 bytes"});
  expect_refused("hello, world, this is text", {"incorrect header check"});
  expect_refused(gzip(std::string(2000, 'x')), {"wrong checksum"});
  expect_refused(gzip(tar_member("a", "x") + end_) + "junk", {"other bytes follow"});
  expect_error<DataError>(
      [&] {
        Collector c;
        read_tar_gz(folder_.path("absent"), c);
      },
      {"cannot open", "absent"});
}

TEST_F(TarGzReaderTest, RefusesAnImpossibleSize) {
  std::string member = tar_member("a", "x");
  const auto with_size = [&](const std::string& size) {
    std::string tar = member;
    tar.replace(124, 12, (size + std::string(12, '\0')).substr(0, 12));
    std::size_t sum = 8 * ' ';
    for (std::size_t i = 0; i < 512; ++i) {
      if (i < 148 || i >= 156) sum += static_cast<unsigned char>(tar[i]);
    }
    char text[8];
    std::snprintf(text, sizeof text, "%06zo", sum);
    tar.replace(148, 7, std::string(text, 7));
    return gzip(tar + end_);
  };
  expect_refused(with_size("-0000000001"), {"impossible size"});
  expect_refused(with_size("777777777777"), {"impossible size"});
  expect_refused(with_size("\x80"), {"impossible size"});
  expect_refused(with_size(""), {"impossible size"});
}

TEST_F(TarGzReaderTest, RefusesBombs) {
  std::string many;
  for (int i = 0; i < 10'001; ++i) many += tar_member("a", "");
  expect_refused(gzip(many), {"more than 10000 members"});
  // 16 MiB of zeros behind the end of the tar, 70 times: 1.1 GiB from a megabyte.
  const std::string zeros = gzip(std::string(16 << 20, '\0'));
  std::string bomb = gzip(end_);
  for (int i = 0; i < 70; ++i) bomb += zeros;
  expect_refused(bomb, {"unpacks to more than"});
}

}  // namespace
}  // namespace rn::data
