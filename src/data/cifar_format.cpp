#include "data/cifar_format.h"

#include "core/error.h"
#include "data/cifar_binary.h"

namespace rn::data {

const std::string& cifar_folder_name(CifarEncoding encoding) {
  static const std::string binary = "cifar-10-batches-bin";
  static const std::string pickle = "cifar-10-batches-py";
  return encoding == CifarEncoding::kBinary ? binary : pickle;
}

const std::array<std::string, kCifarFiles>& cifar_file_names(CifarEncoding encoding) {
  static const std::array<std::string, kCifarFiles> binary = {"data_batch_1.bin", "data_batch_2.bin",
                                                              "data_batch_3.bin", "data_batch_4.bin",
                                                              "data_batch_5.bin", "test_batch.bin"};
  static const std::array<std::string, kCifarFiles> pickle = {"data_batch_1", "data_batch_2", "data_batch_3",
                                                              "data_batch_4", "data_batch_5", "test_batch"};
  return encoding == CifarEncoding::kBinary ? binary : pickle;
}

const std::vector<std::string>& cifar_class_names() {
  static const std::vector<std::string> names = {"airplane", "automobile", "bird",  "cat",  "deer",
                                                 "dog",      "frog",       "horse", "ship", "truck"};
  return names;
}

std::string missing_cifar_file(const std::string& path) {
  return cat("[data] ", path, " is missing, though other files of the set are there. ", kReplaceHint);
}

}  // namespace rn::data
