// `data:` and `augment:` of the configuration.
#pragma once

#include <cstdint>
#include <string>

namespace rn::data {

inline constexpr int kMaxImageSide = 4096;  // of an image in memory

enum class Storage { kAuto, kMemory, kFiles };

struct DataOptions {
  std::string dataset = "cifar10";      // cifar10 | synthetic | folder
  std::string root;                     // cifar10, empty: $RN_CIFAR10_DIR, else ./data/cifar10
  int image_size = 0;                   // folder: scaled and cropped to this side; 0: all have one size
  std::int64_t validation = 0;          // training images held out as the split "val", drawn by seed
  std::int64_t synthetic_train = 2000;  // dataset: synthetic
  std::int64_t synthetic_test = 500;
  Storage storage = Storage::kAuto;  // of the images; auto: files in federated runs, where they can be
  int workers = 1;                   // threads that prepare batches ahead of the step
  int prefetch = 2;                  // batches kept ready
  bool on_device = false;            // the training images lie on the GPU and are augmented there
};

enum class CropMode { kZero, kReflect };
enum class Flip { kNone, kRandom, kAlternating };

struct AugmentOptions {
  int crop_padding = 4;  // 0: no crop
  CropMode crop_mode = CropMode::kReflect;
  Flip flip = Flip::kRandom;
  int cutout = 0;                     // side of the square that is blanked (DeVries and Taylor 2017); 0: none
  std::string normalize = "cifar10";  // cifar10 | imagenet | half | none
};

}  // namespace rn::data
