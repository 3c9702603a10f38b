// What the CIFAR-10 files look like: names, record layout, counts. Shared by readers, writers and checks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rn::data {

inline constexpr int kCifarClasses = 10;
inline constexpr int kCifarSide = 32;
inline constexpr std::int64_t kCifarImageBytes = 3 * kCifarSide * kCifarSide;  // planes R, G, B
inline constexpr std::int64_t kCifarRecordBytes =
    1 + kCifarImageBytes;  // binary layout: label, then the planes
inline constexpr int kCifarTrainFiles = 5;
inline constexpr int kCifarFiles = kCifarTrainFiles + 1;  // five train batches, then the test batch

// How the six files are written: CIFAR's own records, or Python pickles (torchvision's and Keras' folder).
enum class CifarEncoding { kBinary, kPickle };

// Records per file. The official set has 10,000 in each; only a folder marked as synthetic may have others.
struct CifarCounts {
  std::int64_t train_file = 10000;
  std::int64_t test_file = 10000;
  std::int64_t of_file(int file) const { return file < kCifarTrainFiles ? train_file : test_file; }
  std::int64_t train() const { return train_file * kCifarTrainFiles; }
  std::int64_t test() const { return test_file; }
};

// The folder's name inside the official archive: "cifar-10-batches-bin" or "cifar-10-batches-py".
const std::string& cifar_folder_name(CifarEncoding encoding);

// The six file names in order, e.g. "data_batch_1.bin", ..., "test_batch.bin".
const std::array<std::string, kCifarFiles>& cifar_file_names(CifarEncoding encoding);

// "airplane", ..., "truck".
const std::vector<std::string>& cifar_class_names();

// A folder in the binary layout that holds this file was made by `rn_dist data synth`: its images are not
// CIFAR-10. Lines "train_records_per_file N", "test_records N", "seed N".
inline constexpr const char* kSyntheticMarker = "SYNTHETIC.txt";

// What is said of one of the six files that is not there.
std::string missing_cifar_file(const std::string& path);

}  // namespace rn::data
