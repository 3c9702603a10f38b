#include "data/data_command.h"

#include <zlib.h>

#include <sstream>

#include "data/cifar_location.h"
#include "data/data_fixtures.h"
#include "data/png_writer.h"

namespace rn::data {
namespace {

using namespace testing;

class DataCommandTest : public ::testing::Test {
 protected:
  std::string run(const std::vector<std::string>& args) {
    std::ostringstream out;
    EXPECT_EQ(run_data_command(args, out), 0);
    return out.str();
  }
  void expect_usage_error(const std::vector<std::string>& args, std::initializer_list<std::string> parts) {
    expect_error<ConfigError>([&] { run(args); }, parts);
  }
  const TemporaryFolder folder_;
};

TEST_F(DataCommandTest, HelpNamesEveryCommand) {
  for (const auto& args : {std::vector<std::string>{}, {"--help"}, {"fetch", "--help"}}) {
    const std::string help = run(args);
    for (const char* word :
         {"fetch", "verify", "import SOURCE", "synth", "show", "--mirror", "RN_CIFAR10_DIR"}) {
      EXPECT_NE(help.find(word), std::string::npos) << word;
    }
  }
}

TEST_F(DataCommandTest, WrongCommandLinesAreUsageErrors) {
  expect_usage_error({"get"}, {"unknown command 'get'", "fetch, verify, import, synth, show"});
  expect_usage_error({"verify", "--rot", "x"}, {"rn_dist data verify", "unknown option --rot"});
  expect_usage_error({"verify", "--root"}, {"--root needs a value"});
  expect_usage_error({"verify", "extra"}, {"usage: rn_dist data verify"});
  expect_usage_error({"import"}, {"usage: rn_dist data import SOURCE"});
  expect_usage_error({"import", "x"}, {"--root is required"});
  expect_usage_error({"import", "x", "--root", "y", "--force=1"}, {"--force takes no value"});
  expect_usage_error({"synth"}, {"--root is required"});
  expect_usage_error({"synth", "--root=x", "--train", "12"}, {"multiple of 5"});
  expect_usage_error({"synth", "--root=x", "--train", "50005"}, {"from 5 to 50000", "'50005'"});
  expect_usage_error({"synth", "--root=x", "--test", "1x"}, {"from 1 to 10000", "'1x'"});
  expect_usage_error({"show", "--split", "val"}, {"--split is train or test"});
}

TEST_F(DataCommandTest, SynthVerifyShowAndItsSheet) {
  const std::string root = "--root=" + folder_.path("s");
  EXPECT_NE(run({"synth", root, "--train", "50", "--test=20"}).find("SYNTHETIC"), std::string::npos);
  const std::string verified = run({"verify", root});
  for (const char* part : {"SYNTHETIC set", "data_batch_5.bin: good", "train: 50 images; per class 5 5",
                           "mean 0.", "std  0.", "test: 20 images", "content hash "}) {
    EXPECT_NE(verified.find(part), std::string::npos) << part << " in " << verified;
  }
  const std::string shown = run({"show", root, "--sheet", folder_.path("sheet.png"), "--split", "test"});
  for (const char* part : {"train 50, test 20", "airplane", "truck"})
    EXPECT_NE(shown.find(part), std::string::npos) << part;
  const std::string png = read_bytes(folder_.path("sheet.png"));
  EXPECT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
  EXPECT_EQ(png.substr(16, 8), std::string("\0\0\4\x22\0\0\2\x96", 8)) << "1058 x 662";
  expect_error<DataError>([&] { run({"synth", root, "--train", "50", "--test=20"}); }, {"exists already"});
  EXPECT_NE(run({"synth", root, "--train", "50", "--test=20", "--force"}).find("SYNTHETIC"),
            std::string::npos);
}

TEST_F(DataCommandTest, VerifyListsEveryBrokenFile) {
  const std::string root = "--root=" + folder_.path("s");
  run({"synth", root, "--train", "50", "--test=20"});
  std::filesystem::remove(folder_.path("s/cifar-10-batches-bin/data_batch_1.bin"));
  std::filesystem::resize_file(folder_.path("s/cifar-10-batches-bin/test_batch.bin"), 7);
  std::ostringstream out;
  const std::vector<std::string> args = {"verify", root};
  expect_error<DataError>([&] { run_data_command(args, out); }, {"2 files of 6", "are missing or broken"});
  EXPECT_NE(out.str().find("data_batch_1.bin is missing"), std::string::npos) << out.str();
  EXPECT_NE(out.str().find("test_batch.bin is truncated"), std::string::npos) << out.str();
  EXPECT_NE(out.str().find("data_batch_2.bin: good"), std::string::npos) << out.str();
}

TEST_F(DataCommandTest, ImportRefusesWhatIsNoSetOrASyntheticOne) {
  const std::string root = "--root=" + folder_.path("t");
  expect_error<DataError>([&] { run({"import", folder_.path("absent"), root}); },
                          {"no CIFAR-10 in", "absent"});
  run({"synth", "--root=" + folder_.path("s"), "--train", "50", "--test=20"});
  expect_usage_error({"import", folder_.path("s"), root}, {"synthetic set"});
}

// A full-size Python archive of black images becomes the binary layout.
TEST_F(DataCommandTest, ImportsAPythonArchive) {
  ImageSet images{.size = 10'000, .pixels = PixelBuffer(10'000 * 3072, 0), .labels = {}};
  for (int i = 0; i < 10'000; ++i) images.labels.push_back(static_cast<std::uint8_t>(i % 10));
  const std::string batch = pickle_records(images, 0, 10'000);
  std::string archive;
  for (const auto& name : cifar_file_names(CifarEncoding::kPickle)) {
    archive += gzip(tar_member("cifar-10-batches-py/" + name, batch));
  }
  write_bytes(folder_.path("cifar-10-python.tar.gz"), archive + gzip(std::string(1024, '\0')));
  run({"import", folder_.path(), "--root", folder_.path("t")});
  const auto location = find_cifar(folder_.path("t")).value();
  EXPECT_EQ(location.encoding, CifarEncoding::kBinary);
  EXPECT_TRUE(looks_complete(location));
  EXPECT_NE(run({"verify", "--root", folder_.path("t")}).find("per class 5000 5000"), std::string::npos);
}

TEST_F(DataCommandTest, ThePngHoldsThePixels) {
  const std::vector<std::uint8_t> rgb = {255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7, 6, 5, 4, 3, 2, 1};
  write_png(folder_.path("a.png"), 3, 2, rgb);
  const std::string png = read_bytes(folder_.path("a.png"));
  const auto idat = png.find("IDAT");
  ASSERT_NE(idat, std::string::npos);
  std::vector<std::uint8_t> raw(100);
  uLongf size = raw.size();
  const auto* data = reinterpret_cast<const Bytef*>(png.data()) + idat + 4;
  ASSERT_EQ(uncompress(raw.data(), &size, data, png.size() - idat - 4), Z_OK);
  raw.resize(size);
  EXPECT_EQ(raw,
            (std::vector<std::uint8_t>{0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 8, 7, 6, 5, 4, 3, 2, 1}));
  EXPECT_EQ(png.substr(png.size() - 8), "IEND\xae\x42\x60\x82");
}

}  // namespace
}  // namespace rn::data
