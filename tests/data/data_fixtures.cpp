#include "data/data_fixtures.h"

#include <zlib.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <sstream>

#include "core/random.h"

namespace rn::data::testing {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (fs::temp_directory_path() / "rn_data_test_XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

ScopedVariable::ScopedVariable(const char* name, const char* value) : name_(name) {
  if (const char* old = std::getenv(name)) {
    was_set_ = true;
    old_ = old;
  }
  value != nullptr ? ::setenv(name, value, 1) : ::unsetenv(name);
}

ScopedVariable::~ScopedVariable() {
  was_set_ ? ::setenv(name_.c_str(), old_.c_str(), 1) : ::unsetenv(name_.c_str());
}

ImageSet random_images(std::int64_t size, std::uint64_t seed, int channels, int height, int width) {
  CounterRandom random(seed, Purpose::kSynthetic, 77, 0);
  ImageSet images{
      .size = size, .channels = channels, .height = height, .width = width, .pixels = {}, .labels = {}};
  images.pixels.resize(static_cast<std::size_t>(size) * channels * height * width);
  for (auto& pixel : images.pixels) pixel = static_cast<std::uint8_t>(random.below(256));
  for (std::int64_t i = 0; i < size; ++i)
    images.labels.push_back(static_cast<std::uint8_t>(random.below(10)));
  return images;
}

void write_bytes(const std::string& path, std::string_view bytes) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot open " + path);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

std::string golden(const std::string& name) {
  return read_bytes(std::string(RN_TEST_DATA_DIR) + "/golden/" + name);
}

std::string binary_records(const ImageSet& images, std::int64_t first, std::int64_t count) {
  std::string out;
  for (std::int64_t i = first; i < first + count; ++i) {
    const auto pixels = images.image(i);
    out += static_cast<char>(images.labels[static_cast<std::size_t>(i)]);
    out.append(reinterpret_cast<const char*>(pixels.data()), pixels.size());
  }
  return out;
}

std::string pickle_records(const ImageSet& images, std::int64_t first, std::int64_t count) {
  const auto text = [](const std::string& value) { return cat('U', static_cast<char>(value.size()), value); };
  const auto little_endian = [](std::uint32_t value, int width) {
    std::string out;
    for (int i = 0; i < width; ++i) out += static_cast<char>((value >> (8 * i)) & 0xFF);
    return out;
  };
  std::string data, labels;
  for (std::int64_t i = first; i < first + count; ++i) {
    const auto pixels = images.image(i);
    data.append(reinterpret_cast<const char*>(pixels.data()), pixels.size());
    labels += cat('K', static_cast<char>(images.labels[static_cast<std::size_t>(i)]));
  }
  const std::string none_and_minus_one =
      std::string("NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK") + '\0' + "tb\x89T";
  return cat("\x80\x02}q\x01(", text("labels"), "q\x02]q\x03(", labels, "e", text("data"),
             "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK", '\0', "\x85", text("b"),
             "\x87R(K\x01M", little_endian(static_cast<std::uint32_t>(count), 2), "M", little_endian(3072, 2),
             "\x86", "cnumpy\ndtype\n", text("u1"), "K", '\0', "K\x01\x87R(K\x03", text("|"),
             none_and_minus_one, little_endian(static_cast<std::uint32_t>(data.size()), 4), data, "tbu.");
}

void write_small_folder(const std::string& folder, const ImageSet& train, const ImageSet& test,
                        CifarEncoding encoding) {
  const auto& names = cifar_file_names(encoding);
  const auto encode = encoding == CifarEncoding::kBinary ? binary_records : pickle_records;
  for (int i = 0; i < kCifarTrainFiles; ++i) {
    write_bytes(folder + "/" + names[static_cast<std::size_t>(i)],
                encode(train, i * kSmallCounts.train_file, kSmallCounts.train_file));
  }
  write_bytes(folder + "/" + names.back(), encode(test, 0, kSmallCounts.test_file));
}

std::string tar_member(const std::string& name, std::string_view content, char type) {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  const auto put_octal = [&](std::size_t offset, int digits, std::size_t value) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*zo", digits, value);
    header.replace(offset, static_cast<std::size_t>(digits), text);
  };
  put_octal(100, 7, 0644);
  put_octal(108, 7, 0);
  put_octal(116, 7, 0);
  put_octal(124, 11, content.size());
  put_octal(136, 11, 0);
  header[156] = type;
  header.replace(257, 5, "ustar");
  header.replace(263, 2, "00");
  header.replace(148, 8, 8, ' ');
  put_octal(148, 6,
            std::accumulate(header.begin(), header.end(), std::size_t{0},
                            [](std::size_t sum, char c) { return sum + static_cast<unsigned char>(c); }));
  header[154] = '\0';
  std::string out = header + std::string(content);
  out.resize((out.size() + 511) / 512 * 512, '\0');
  return out;
}

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2 failed");
  }
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) throw std::runtime_error("deflate failed");
  return out;
}

std::string small_archive(const ImageSet& train, const ImageSet& test, CifarEncoding encoding) {
  const auto& names = cifar_file_names(encoding);
  const auto encode = encoding == CifarEncoding::kBinary ? binary_records : pickle_records;
  const std::string folder = cifar_folder_name(encoding) + "/";
  std::string tar = tar_member(folder, "", '5') + tar_member(folder + "readme.html", "<html></html>");
  // Not in order, as in the official archives.
  for (const int i : {3, 0, 5, 4, 1, 2}) {
    const bool is_train = i < kCifarTrainFiles;
    tar += tar_member(
        folder + names[static_cast<std::size_t>(i)],
        encode(is_train ? train : test, is_train ? i * kSmallCounts.train_file : 0, kSmallCounts.of_file(i)));
  }
  return gzip(tar + std::string(1024, '\0'));
}

void expect_same(const ImageSet& actual, const ImageSet& expected) {
  EXPECT_EQ(actual.size, expected.size);
  EXPECT_EQ(actual.labels, expected.labels);
  EXPECT_TRUE(actual.pixels == expected.pixels) << "pixels differ";
}

}  // namespace rn::data::testing
