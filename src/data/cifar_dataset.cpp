#include "data/cifar_dataset.h"

#include <atomic>
#include <filesystem>
#include <future>
#include <optional>

#include "core/error.h"
#include "data/cifar_binary.h"
#include "data/cifar_pickle.h"
#include "data/tar_gz_reader.h"
#include "io/file_system.h"

namespace rn::data {
namespace {

namespace fs = std::filesystem;

// Pickles carry names and opcodes beside the 30.7 MB of pixels; protocol 0 escapes most bytes as "\x.." or
// "\u00..".
constexpr std::uint64_t kMaxPickleBytes = std::uint64_t{256} << 20;

std::uint64_t max_file_bytes(CifarEncoding encoding, std::int64_t records) {
  // One byte above a good file's size shows an oversized one without reading all of it.
  return encoding == CifarEncoding::kBinary ? static_cast<std::uint64_t>(records * kCifarRecordBytes) + 1
                                            : kMaxPickleBytes;
}

ImageSet make_image_set(std::int64_t size) {
  ImageSet images;
  images.size = size;
  images.pixels.resize(static_cast<std::size_t>(size * kCifarImageBytes));
  images.labels.resize(static_cast<std::size_t>(size));
  return images;
}

// Puts decoded files at their place in the splits, and notes what became of each.
class CifarAssembler {
 public:
  explicit CifarAssembler(const CifarCounts& counts) : counts_(counts) {
    splits_.train = make_image_set(counts.train());
    splits_.test = make_image_set(counts.test());
    splits_.files.resize(kCifarFiles);
  }

  const CifarCounts& counts() const { return counts_; }
  CifarFileCheck& file(int index) { return splits_.files[static_cast<std::size_t>(index)]; }
  CifarSplits take() { return std::move(splits_); }

  void decode(int index, CifarEncoding encoding, std::span<const std::byte> bytes) {
    auto& images = index < kCifarTrainFiles ? splits_.train : splits_.test;
    const std::int64_t first = index < kCifarTrainFiles ? index * counts_.train_file : 0;
    const auto records = static_cast<std::size_t>(counts_.of_file(index));
    const auto pixels =
        std::span(images.pixels)
            .subspan(static_cast<std::size_t>(first * kCifarImageBytes), records * kCifarImageBytes);
    const auto labels = std::span(images.labels).subspan(static_cast<std::size_t>(first), records);
    const auto decoder = encoding == CifarEncoding::kBinary ? decode_cifar_binary : decode_cifar_pickle;
    decoder(bytes, file(index).path, pixels, labels);
  }

 private:
  const CifarCounts counts_;
  CifarSplits splits_;
};

// Reads `path`. A binary file of a wrong size is reported with its whole size, which read() would not tell.
void read_file(const CifarLocation& location, int index, CifarAssembler& assembler) {
  const std::string& path = assembler.file(index).path;
  const std::int64_t records = assembler.counts().of_file(index);
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error == std::errc::no_such_file_or_directory) {
    throw DataError(missing_cifar_file(path));
  }
  if (error) throw DataError(cat("[data] cannot read ", path, ": ", error.message()));
  const std::uint64_t limit = max_file_bytes(location.encoding, records);
  if (size > limit) {
    throw DataError(
        cat("[data] ", path, " is oversized: ", size, " bytes",
            location.encoding == CifarEncoding::kBinary
                ? cat(" instead of ", limit - 1, " (", records, " records of ", kCifarRecordBytes, ")")
                : cat(", more than any CIFAR-10 batch (limit ", limit, ")"),
            ". ", kReplaceHint));
  }
  assembler.decode(index, location.encoding, io::posix_file_system().read(path, limit));
}

// Files go to places of their own, so two at a time are read and decoded: more would hold the memory of as
// many.
void read_folder(const CifarLocation& location, CifarAssembler& assembler) {
  std::atomic<int> next = 0;
  const auto read_files = [&] {
    for (int i = next++; i < kCifarFiles; i = next++) {
      auto& file = assembler.file(i);
      file.path = (fs::path(location.path) / cifar_file_names(location.encoding)[static_cast<std::size_t>(i)])
                      .string();
      try {
        read_file(location, i, assembler);
      } catch (const DataError& e) {
        file.error = e.what();
      }
    }
  };
  auto helper = std::async(std::launch::async, read_files);
  read_files();
  helper.get();
}

// Decodes members as they come, in whatever order they stand in the archive.
class ArchiveVisitor : public TarVisitor {
 public:
  ArchiveVisitor(const std::string& archive, CifarAssembler& assembler)
      : archive_(archive), assembler_(assembler) {
    for (int i = 0; i < kCifarFiles; ++i) {
      auto& file = assembler_.file(i);
      file.path = archive;
      file.error =
          cat("[data] ", archive, " does not hold ", cifar_file_names(CifarEncoding::kBinary)[i], " (or ",
              cifar_file_names(CifarEncoding::kPickle)[i], " of the Python version). ", kReplaceHint);
    }
  }

  bool wants(const std::string& name, std::uint64_t size) override {
    const auto member = find(name);
    if (!member) return false;
    if (size > max_file_bytes(member->encoding, assembler_.counts().of_file(member->index))) {
      auto& file = assembler_.file(member->index);
      file.path = cat(archive_, ":", name);
      file.error = cat("[data] ", file.path, " is oversized: ", size, " bytes. ", kReplaceHint);
      return false;
    }
    return true;
  }

  void file(const std::string& name, std::vector<std::byte> bytes) override {
    const auto member = find(name).value();
    auto& file = assembler_.file(member.index);
    file.path = cat(archive_, ":", name);
    file.error.clear();
    try {
      assembler_.decode(member.index, member.encoding, bytes);
    } catch (const DataError& e) {
      file.error = e.what();
    }
  }

 private:
  struct Member {
    CifarEncoding encoding;
    int index;
  };

  static std::optional<Member> find(const std::string& name) {
    for (const auto encoding : {CifarEncoding::kBinary, CifarEncoding::kPickle}) {
      for (int i = 0; i < kCifarFiles; ++i) {
        if (name ==
            cat(cifar_folder_name(encoding), "/", cifar_file_names(encoding)[static_cast<std::size_t>(i)]))
          return Member{encoding, i};
      }
    }
    return std::nullopt;
  }

  const std::string archive_;
  CifarAssembler& assembler_;
};

}  // namespace

CifarSplits check_cifar(const CifarLocation& location) {
  CifarAssembler assembler(location.counts);
  if (location.archive) {
    ArchiveVisitor visitor(location.path, assembler);
    read_tar_gz(location.path, visitor);
  } else {
    read_folder(location, assembler);
  }
  return assembler.take();
}

CifarSplits read_cifar(const CifarLocation& location) {
  CifarSplits splits = check_cifar(location);
  for (const auto& file : splits.files) {
    if (!file.error.empty()) throw DataError(file.error);
  }
  return splits;
}

}  // namespace rn::data
