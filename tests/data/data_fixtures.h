// What the data tests share: temporary folders, small sets, archives, and a check of error messages.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include "core/error.h"
#include "data/cifar_format.h"
#include "data/dataset.h"

namespace rn::data::testing {

// A folder that is removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string path(const std::string& name = "") const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

// Sets an environment variable (null: unsets it) for as long as it lives.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value);
  ~ScopedVariable();
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const std::string name_;
  bool was_set_ = false;
  std::string old_;
};

inline constexpr CifarCounts kSmallCounts{.train_file = 3, .test_file = 2};

ImageSet random_images(std::int64_t size, std::uint64_t seed, int channels = 3, int height = 32,
                       int width = 32);

void write_bytes(const std::string& path, std::string_view bytes);  // makes parent folders
std::string read_bytes(const std::string& path);
std::string golden(const std::string& name);  // the bytes of tests/data/golden/<name>

// Records of the binary layout.
std::string binary_records(const ImageSet& images, std::int64_t first, std::int64_t count);
// A Python pickle of the same records, as Python 2 wrote the official ones.
std::string pickle_records(const ImageSet& images, std::int64_t first, std::int64_t count);

// All six files of a set with kSmallCounts below `folder`.
void write_small_folder(const std::string& folder, const ImageSet& train, const ImageSet& test,
                        CifarEncoding encoding);

std::string tar_member(const std::string& name, std::string_view content, char type = '0');
std::string gzip(std::string_view bytes);
// The official archive's shape: folder, six files, a readme.
std::string small_archive(const ImageSet& train, const ImageSet& test, CifarEncoding encoding);

void expect_same(const ImageSet& actual, const ImageSet& expected);

// Expects `call` to throw ErrorType whose message holds every one of `parts`.
template <typename ErrorType, typename Call>
void expect_error(Call call, std::initializer_list<std::string> parts) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const ErrorType& e) {
    for (const auto& part : parts) {
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos)
          << "no '" << part << "' in: " << e.what();
    }
  }
}

}  // namespace rn::data::testing
