#include "data/folder_dataset.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "data/augment.h"
#include "data/data_command.h"
#include "data/data_fixtures.h"
#include "data/picture.h"
#include "data/png_writer.h"
#include "data/statistics.h"
#include "data/synthetic_dataset.h"

namespace rn::data {
namespace {

using namespace testing;

namespace fs = std::filesystem;

// A picture of one colour.
void paint(const std::string& path, int width, int height, std::uint8_t level) {
  fs::create_directories(fs::path(path).parent_path());
  write_png(path, width, height,
            std::vector<std::uint8_t>(static_cast<std::size_t>(width) * height * 3, level));
}

class FolderDatasetTest : public ::testing::Test {
 protected:
  void add(const std::string& name, std::uint8_t level = 0, int width = 5, int height = 4) const {
    paint(folder.path(name), width, height, level);
  }
  // Two classes, three training and two test images of 5 x 4 pixels.
  void add_small_set() const {
    add("train/bee/2.png", 12);
    add("train/ant/1.png", 1);
    add("train/bee/10.png", 110);
    add("test/ant/3.png", 3);
    add("test/bee/4.png", 4);
  }
  DataOptions options(int image_size = 0) const {
    return {.dataset = "folder", .root = folder.path(), .image_size = image_size};
  }
  void expect_refused(std::initializer_list<std::string> words, int image_size = 0) const {
    expect_error<DataError>([&] { open_dataset(options(image_size), 0); }, words);
  }

  const TemporaryFolder folder;
};

TEST_F(FolderDatasetTest, ClassesAndImagesAreSortedByName) {
  add_small_set();
  add("train/bee/nest/1.PNG", 201);
  add("train/.hidden/1.png", 99);
  add("train/ant/.hidden.png", 99);
  write_bytes(folder.path("train/readme.txt"), "words");
  write_bytes(folder.path("train/ant/labels.csv"), "words");
  const auto dataset = open_dataset(options(), 0);
  EXPECT_EQ(dataset->name, "folder");
  EXPECT_EQ(dataset->classes, (std::vector<std::string>{"ant", "bee"}));
  EXPECT_EQ(dataset->train.labels, (std::vector<std::uint8_t>{0, 1, 1, 1}));
  EXPECT_EQ(dataset->test.labels, (std::vector<std::uint8_t>{0, 1}));
  EXPECT_EQ(dataset->train.height, 4);
  EXPECT_EQ(dataset->train.width, 5);
  const std::vector<int> levels = {1, 110, 12, 201};  // the order of bytes: 10.png before 2.png
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const auto image = dataset->train.image(static_cast<std::int64_t>(i));
    EXPECT_EQ(image.size(), 60u);
    EXPECT_TRUE(std::ranges::all_of(image, [&](int level) { return level == levels[i]; })) << i;
  }
  const auto shape = expected_shape(options());
  EXPECT_EQ(shape.train, 4);
  EXPECT_EQ(shape.test, 2);
  EXPECT_EQ(shape.classes, 2);
  EXPECT_EQ(shape.height, 4);
  EXPECT_EQ(shape.width, 5);
}

// The same images from files of their own and from CIFAR's: the same pixels.
TEST_F(FolderDatasetTest, KeepsEveryPixelOfAPng) {
  const auto images = make_synthetic(40, SyntheticSplit::kTrain, 3);
  for (std::int64_t i = 0; i < images.size; ++i) {
    const auto planes = images.image(i);
    std::vector<std::uint8_t> rgb(planes.size());
    for (std::size_t k = 0; k < 1024; ++k) {
      for (std::size_t c = 0; c < 3; ++c) rgb[3 * k + c] = planes[c * 1024 + k];
    }
    const std::string name =
        cat("train/", int{images.labels[static_cast<std::size_t>(i)]}, "/", 100 + i, ".png");
    fs::create_directories(fs::path(folder.path(name)).parent_path());
    write_png(folder.path(name), 32, 32, rgb);
  }
  fs::copy(folder.path("train"), folder.path("val"), fs::copy_options::recursive);
  const auto dataset = open_dataset(options(), 0);
  expect_same(dataset->test, dataset->train);
  for (std::int64_t i = 0; i < images.size; ++i) {  // 4 of each class, in the order of their numbers
    const std::int64_t original = i / 4 + 10 * (i % 4);
    EXPECT_TRUE(std::ranges::equal(dataset->train.image(i), images.image(original))) << i;
  }
}

TEST_F(FolderDatasetTest, ScalesAndCropsToOneSize) {
  add_small_set();
  add("train/ant/large.png", 77, 300, 200);
  fs::copy(fs::path(RN_TEST_DATA_DIR) / "golden/pictures/wide.png", folder.path("train/ant/wide.png"));
  const auto dataset = open_dataset(options(16), 0);
  EXPECT_EQ(dataset->train.height, 16);
  EXPECT_EQ(dataset->train.width, 16);
  const auto large = dataset->train.image(1), wide = dataset->train.image(2);
  EXPECT_TRUE(std::ranges::all_of(large, [](int level) { return level == 77; }));
  const std::string expected = golden("pictures/wide_16.rgb");
  for (std::size_t i = 0; i < 256; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      ASSERT_NEAR(wide[c * 256 + i], static_cast<std::uint8_t>(expected[3 * i + c]), 1);
    }
  }
  EXPECT_NE(open_dataset(options(17), 0)->content_hash, dataset->content_hash);
}

TEST_F(FolderDatasetTest, NamesEveryFileThatCannotBeUsed) {
  add_small_set();
  write_bytes(folder.path("train/ant/broken.png"), "no picture");
  add("train/bee/other.png", 1, 9, 8);
  write_bytes(folder.path("test/ant/cut.jpg"), golden("pictures/baseline.jpg").substr(0, 600));
  expect_refused({"train/ant/broken.png is neither a PNG nor a JPEG", "train/bee/other.png is 9 x 8 pixels",
                  "the first is 5 x 4", "data.image_size=4", "test/ant/cut.jpg is no whole JPEG file"});
  for (int i = 10; i < 30; ++i) write_bytes(folder.path(cat("train/bee/", i, "x.png")), "no picture");
  expect_refused({"train/bee/10x.png", "\nand 13 files more"});
}

TEST_F(FolderDatasetTest, ExplainsALayoutThatIsNone) {
  expect_refused({"no folder " + folder.path("train"), "ROOT/train/CLASS/*.png", "data.root"});
  fs::create_directories(folder.path("train"));
  expect_refused({"no folder " + folder.path("test")});
  fs::create_directories(folder.path("test"));
  expect_refused({folder.path("train"), "holds no folder of a class"});
  fs::create_directories(folder.path("train/ant"));
  expect_refused({folder.path("train/ant"), "holds no PNG or JPEG file"});
  add("train/ant/1.png");
  expect_refused({folder.path("test"), "holds no folder of a class"});
  add("test/wasp/1.png");
  expect_refused({folder.path("test/wasp"), "there is no class wasp"});
  add("train/wasp/1.png");
  EXPECT_EQ(open_dataset(options(), 0)->test.size, 1);
  write_bytes(folder.path("train/wasp/2.webp"), "words");
  expect_refused({"train/wasp/2.webp is not read", "Convert or remove"});
  expect_error<ConfigError>([] { open_dataset({.dataset = "folder"}, 0); }, {"data.root"});
}

TEST_F(FolderDatasetTest, RefusesMoreClassesThanALabelHolds) {
  for (int i = 0; i < 257; ++i) fs::create_directories(folder.path(cat("train/", i)));
  fs::create_directories(folder.path("test"));
  expect_refused({"257 classes", "256"});
}

TEST_F(FolderDatasetTest, RefusesWhatHasNoRoomBeforeReadingIt) {
  const double memory =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  const double image = 3.0 * kMaxImageSide * kMaxImageSide;
  write_bytes(folder.path("test/ant/0.png"), "no picture");
  for (int i = 0; i < memory / 2 / image; ++i)
    write_bytes(folder.path(cat("train/ant/", i, ".png")), "no picture");
  expect_refused({"GiB in the memory of every rank", "data.image_size"}, kMaxImageSide);
}

TEST_F(FolderDatasetTest, RefusesImagesTooLargeToTrainOn) {
  add("train/ant/1.png", 0, kMaxImageSide + 1, 1);
  add("test/ant/1.png", 0, kMaxImageSide + 1, 1);
  expect_refused({"4097 x 1", "data.image_size=224"});
}

TEST_F(FolderDatasetTest, CommandsVerifyAndShowIt) {
  add_small_set();
  const auto run = [](std::vector<std::string> words) {
    std::ostringstream out;
    EXPECT_EQ(run_data_command(words, out), 0);
    return out.str();
  };
  const std::string verified = run({"verify", "--root", folder.path()});
  for (const char* words : {"2 classes in ", "train: 3 images; per class 1 2\n",
                            "test: 2 images; per class 1 1\n", "content hash "}) {
    EXPECT_NE(verified.find(words), std::string::npos) << words << " in: " << verified;
  }
  const std::string shown =
      run({"show", "--root", folder.path(), "--image-size", "8", "--sheet", folder.path("sheet.png")});
  for (const char* words : {"Images in ", "train 3, test 2 images of 3 x 8 x 8", "  1 bee"}) {
    EXPECT_NE(shown.find(words), std::string::npos) << words << " in: " << shown;
  }
  const std::string sheet = read_bytes(folder.path("sheet.png"));
  EXPECT_GT(picture_size(std::as_bytes(std::span(sheet)), "sheet").width, 16);
  expect_error<ConfigError>([&] { run({"verify", "--image-size", "8"}); },
                            {"--image-size is for a folder with train/CLASS/"});
}

}  // namespace
}  // namespace rn::data
