#include "data/folder_dataset.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>

#include "core/error.h"
#include "data/resize.h"
#include "io/file_system.h"

namespace rn::data {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostNamed = 10;  // files in one message

const char* kLayoutHint =
    "\ndata.dataset: folder wants ROOT/train/CLASS/*.png (or .jpg, .jpeg) and ROOT/test/CLASS/..., data.root "
    "names ROOT.";

enum class Kind { kImage, kOtherImage, kOther };

Kind kind_of(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const char* image : {".png", ".jpg", ".jpeg"}) {
    if (extension == image) return Kind::kImage;
  }
  for (const char* other : {".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp"}) {
    if (extension == other) return Kind::kOtherImage;
  }
  return Kind::kOther;
}

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

std::vector<std::string> class_names(const fs::path& split) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(split)) {
    if (entry.is_directory() && !is_hidden(entry.path())) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> images_below(const fs::path& folder) {
  std::vector<std::pair<std::string, std::string>> found;  // folder and name: sorted as os.walk's are
  for (auto it = fs::recursive_directory_iterator(folder); it != fs::recursive_directory_iterator(); ++it) {
    if (is_hidden(it->path())) {
      if (it->is_directory()) it.disable_recursion_pending();
      continue;
    }
    const Kind kind = it->is_regular_file() ? kind_of(it->path()) : Kind::kOther;
    if (kind == Kind::kOtherImage) {
      throw DataError(
          cat("[data] ", it->path().string(), " is not read: PNG and JPEG are. Convert or remove it."));
    }
    if (kind == Kind::kImage) {
      found.emplace_back(it->path().parent_path().string(), it->path().filename().string());
    }
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> paths;
  for (const auto& [parent, name] : found) paths.push_back((fs::path(parent) / name).string());
  return paths;
}

FolderSplit list_split(const fs::path& folder, const std::vector<std::string>& classes) {
  FolderSplit split;
  for (const auto& name : class_names(folder)) {
    const auto place = std::lower_bound(classes.begin(), classes.end(), name);
    if (place == classes.end() || *place != name) {
      throw DataError(cat("[data] ", (folder / name).string(), ": there is no class ", name,
                          " among the training images. Remove it, or add images to train on."));
    }
    auto paths = images_below(folder / name);
    if (paths.empty()) {
      throw DataError(
          cat("[data] ", (folder / name).string(), " holds no PNG or JPEG file. Add some, or remove it."));
    }
    split.labels.insert(split.labels.end(), paths.size(), static_cast<std::uint8_t>(place - classes.begin()));
    std::move(paths.begin(), paths.end(), std::back_inserter(split.paths));
  }
  if (split.paths.empty())
    throw DataError(cat("[data] ", folder.string(), " holds no folder of a class.", kLayoutHint));
  return split;
}

fs::path require_split(const fs::path& root, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (fs::is_directory(root / name)) return root / name;
  }
  throw DataError(cat("[data] no folder ", (root / *names.begin()).string(), ".", kLayoutHint));
}

void require_memory(double bytes) {
  const double memory =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
  if (bytes > memory / 2) {
    throw DataError(cat("[data] the images take ", bytes / kGiB,
                        " GiB in the memory of every rank, and this machine has ", memory / kGiB,
                        ". Use a smaller data.image_size, or fewer images."));
  }
}

std::string size_text(const PictureSize& size) { return cat(size.width, " x ", size.height); }

// Decodes files into their places, on several threads, and notes what is wrong with each.
class Reader {
 public:
  Reader(const FolderSplit& split, const PictureSize& size, int image_size, ImageSet& images)
      : split_(split), size_(size), image_size_(image_size), images_(images) {
    images.size = static_cast<std::int64_t>(split.paths.size());
    images.height = size.height;
    images.width = size.width;
    images.labels = split.labels;
    images.pixels.resize(split.paths.size() * bytes_of_image());
  }

  void read(int threads) {
    std::vector<std::future<void>> helpers;
    for (int i = 1; i < threads; ++i) helpers.push_back(std::async(std::launch::async, [this] { work(); }));
    work();
    for (auto& helper : helpers) helper.get();
  }

  const std::map<std::size_t, std::string>& errors() const { return errors_; }

 private:
  std::size_t bytes_of_image() const {
    return std::size_t{3} * static_cast<std::size_t>(size_.width) * static_cast<std::size_t>(size_.height);
  }

  void work() {
    for (std::size_t i = next_++; i < split_.paths.size(); i = next_++) {
      try {
        read_one(i);
      } catch (const DataError& error) {
        const std::lock_guard lock(mutex_);
        errors_[i] = error.what();
      }
    }
  }

  void read_one(std::size_t i) {
    const std::string& path = split_.paths[i];
    const auto picture = decode_picture(io::posix_file_system().read(path, kMaxPictureFileBytes), path);
    const auto place = std::span(images_.pixels).subspan(i * bytes_of_image(), bytes_of_image());
    if (image_size_ > 0) return resize_to_planes(picture, image_size_, place);
    if (PictureSize{picture.width, picture.height} != size_) {
      throw DataError(cat("[data] ", path, " is ", picture.width, " x ", picture.height,
                          " pixels, but the first is ", size_text(size_), ". data.image_size=",
                          std::min(size_.width, size_.height), " scales and crops all to one size."));
    }
    to_planes(picture, place);
  }

  const FolderSplit& split_;
  const PictureSize size_;
  const int image_size_;
  ImageSet& images_;
  std::atomic<std::size_t> next_ = 0;
  std::mutex mutex_;
  std::map<std::size_t, std::string> errors_;  // guarded by mutex_ while threads run
};

}  // namespace

FolderListing list_folder(const std::string& root) {
  try {
    FolderListing listing;
    const fs::path train = require_split(root, {"train"}), test = require_split(root, {"test", "val"});
    listing.classes = class_names(train);
    if (listing.classes.size() > kMaxFolderClasses) {
      throw DataError(cat("[data] ", train.string(), " holds ", listing.classes.size(),
                          " classes, and at most ", kMaxFolderClasses, " are told apart."));
    }
    listing.train = list_split(train, listing.classes);
    listing.test = list_split(test, listing.classes);
    return listing;
  } catch (const fs::filesystem_error& error) {
    throw DataError(cat("[data] cannot list ", error.path1().string(), ": ", error.code().message()));
  }
}

PictureSize folder_image_size(const FolderListing& listing, const DataOptions& options) {
  if (options.image_size > 0) return {.width = options.image_size, .height = options.image_size};
  const std::string& path = listing.train.paths.front();
  const PictureSize size = picture_size(io::posix_file_system().read(path, kMaxPictureFileBytes), path);
  if (size.width > kMaxImageSide || size.height > kMaxImageSide) {
    throw DataError(cat("[data] ", path, " is ", size_text(size), " pixels, and images of at most ",
                        kMaxImageSide,
                        " a side are trained on. data.image_size=224, say, scales and crops all of them."));
  }
  return size;
}

void read_folder(const FolderListing& listing, const DataOptions& options, Dataset& dataset) {
  const PictureSize size = folder_image_size(listing, options);
  require_memory(3.0 * size.width * size.height *
                 static_cast<double>(listing.train.paths.size() + listing.test.paths.size()));
  std::vector<std::string> errors;
  for (const auto& [split, images] :
       {std::pair(&listing.train, &dataset.train), std::pair(&listing.test, &dataset.test)}) {
    Reader reader(*split, size, options.image_size, *images);
    reader.read(std::max(2, options.workers));
    for (const auto& error : reader.errors()) errors.push_back(error.second);
  }
  if (errors.empty()) return;
  std::string message;
  for (std::size_t i = 0; i < std::min(errors.size(), kMostNamed); ++i)
    message += cat(i > 0 ? "\n" : "", errors[i]);
  if (errors.size() > kMostNamed) message += cat("\nand ", errors.size() - kMostNamed, " files more");
  throw DataError(message);
}

}  // namespace rn::data
