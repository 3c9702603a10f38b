// A folder of images: ROOT/train/CLASS/*.png|jpg|jpeg and ROOT/test/CLASS/..., as torchvision's ImageFolder.
#pragma once

#include <string>

#include "data/dataset.h"
#include "data/options.h"
#include "data/picture.h"

namespace rn::data {

inline constexpr int kMaxFolderClasses = 256;  // labels are bytes

// The files of one split: sorted by class, folder and name in the order of their bytes.
struct FolderSplit {
  std::vector<std::string> paths;
  std::vector<std::uint8_t> labels;
};

struct FolderListing {
  std::vector<std::string> classes;  // names of the folders below train, sorted: their place is the label
  FolderSplit train;
  FolderSplit test;
};

// Lists names, opens no image. ROOT/val stands for ROOT/test where there is none. Folders inside a class are
// looked into, links to folders are not followed, hidden names are passed over. Throws DataError, with what
// to do: no such folder, no classes or too many, a class without images, one that only the test split has,
// images of another kind than PNG and JPEG.
FolderListing list_folder(const std::string& root);

// The size that all images have in memory: `options.image_size` squared, else that of the first image's
// header.
PictureSize folder_image_size(const FolderListing& listing, const DataOptions& options);

// Decodes both splits, whole in memory, on max(2, options.workers) threads. With options.image_size each
// image is scaled and cropped (resize.h), else all must have one size. Throws DataError that names up to ten
// files which cannot be used, in the order of the listing; before reading, if the images have no room in
// memory.
void read_folder(const FolderListing& listing, const DataOptions& options, Dataset& dataset);

}  // namespace rn::data
