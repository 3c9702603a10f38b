#include "data/data_command.h"

#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <iomanip>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <vector>

#include "core/error.h"
#include "core/tensor_hash.h"
#include "data/cifar_dataset.h"
#include "data/cifar_writer.h"
#include "data/content_hash.h"
#include "data/fetch.h"
#include "data/statistics.h"
#include "data/synthetic_dataset.h"

namespace rn::data {
namespace {

constexpr const char* kHelp = R"(usage: rn_dist data COMMAND [options]

  fetch                 download the official CIFAR-10 archive, verify it and unpack it into ROOT/cifar-10-batches-bin
      --url URL         download from URL instead of the official address (the archive must be the official one)
      --mirror URL      try URL too when the sources before it fail; may be repeated
      --force           fetch although a set is there, and replace it
      --keep-archive    leave the archive in ROOT

  verify                read all files of the set; print their state, counts, mean, std and content hash

  import SOURCE         write any accepted form of the set (cifar-10-batches-bin, torchvision's or Keras'
                        cifar-10-batches-py, either official archive) as ROOT/cifar-10-batches-bin
      --force           replace a set that is there

  synth                 write a synthetic set of CIFAR's shape, marked as such, as ROOT/cifar-10-batches-bin
      --train N         training images, a multiple of 5 up to 50000 (default 50000)
      --test N          test images, up to 10000 (default 10000)
      --seed N          (default 0)
      --force           replace a set that is there

  show                  print sizes and classes
      --sheet FILE.png  write a contact sheet: a row of images per class
      --split NAME      of which split: train or test (default train)

verify and show also take a folder of images (ROOT/train/CLASS/*.png|jpg, ROOT/test/CLASS/...):
      --image-size N    scale and crop its images to N x N, as data.image_size does

All take --root DIR; without it $RN_CIFAR10_DIR, else data/cifar10 (synth and import: --root is required).
)";

// The words of one command: --name value, --flag and positional arguments.
class Arguments {
 public:
  Arguments(std::string command, std::span<const std::string> words, const std::set<std::string>& options,
            const std::set<std::string>& flags)
      : command_(std::move(command)) {
    for (std::size_t i = 0; i < words.size(); ++i) {
      std::string word = words[i];
      if (!word.starts_with("--")) {
        positional_.push_back(word);
        continue;
      }
      std::optional<std::string> value;
      if (const auto equals = word.find('='); equals != std::string::npos) {
        value = word.substr(equals + 1);
        word.resize(equals);
      }
      if (flags.contains(word)) {
        if (value) fail(cat(word, " takes no value"));
        values_[word].emplace_back();
      } else if (options.contains(word)) {
        if (!value && i + 1 == words.size()) fail(cat(word, " needs a value"));
        values_[word].push_back(value ? *value : words[++i]);
      } else {
        fail(cat("unknown option ", word));
      }
    }
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw ConfigError(cat("rn_dist data ", command_, ": ", what, "\nSee: rn_dist data --help"));
  }

  bool has(const std::string& name) const { return values_.contains(name); }

  std::string text(const std::string& name, const std::string& fallback) const {
    const auto found = values_.find(name);
    return found == values_.end() ? fallback : found->second.back();
  }

  std::vector<std::string> all(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::vector<std::string>() : found->second;
  }

  std::int64_t number(const std::string& name, std::int64_t fallback, std::int64_t low,
                      std::int64_t high) const {
    if (!has(name)) return fallback;
    const std::string value = text(name, "");
    std::int64_t result = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
    if (error != std::errc() || end != value.data() + value.size() || result < low || result > high) {
      fail(cat(name, " must be a number from ", low, " to ", high, ", not '", value, "'"));
    }
    return result;
  }

  std::string required(const std::string& name) const {
    if (text(name, "").empty()) fail(cat(name, " is required"));
    return text(name, "");
  }

  void expect_positional(std::size_t count, const char* usage) const {
    if (positional_.size() != count) fail(cat("usage: rn_dist data ", usage));
  }
  const std::string& positional(std::size_t i) const { return positional_.at(i); }

 private:
  const std::string command_;
  std::map<std::string, std::vector<std::string>> values_;
  std::vector<std::string> positional_;
};

std::string plural(std::size_t count, const char* noun) {
  return cat(count, " ", noun, count == 1 ? "" : "s");
}

void print_split(const char* name, const ImageSet& images, int classes, std::ostream& out) {
  const SplitStatistics statistics = measure(images, classes);
  std::ostringstream text;
  text << name << ": " << images.size << " images; per class";
  for (const auto count : statistics.class_counts) text << ' ' << count;
  text << std::fixed << std::setprecision(8) << "\n  mean";
  for (const double value : statistics.mean) text << ' ' << value;
  text << "\n  std ";
  for (const double value : statistics.std) text << ' ' << value;
  out << text.str() << '\n';
}

int fetch(const Arguments& arguments, std::ostream& out) {
  arguments.expect_positional(0, "fetch [--root DIR] [--url URL] [--mirror URL] [--force] [--keep-archive]");
  FetchOptions options;
  options.root = arguments.text("--root", "");
  if (arguments.has("--url")) options.urls = arguments.all("--url");
  for (const auto& mirror : arguments.all("--mirror")) options.urls.push_back(mirror);
  options.force = arguments.has("--force");
  options.keep_archive = arguments.has("--keep-archive");
  options.terminal = ::isatty(STDOUT_FILENO) != 0;
  fetch_cifar10(options, out);
  return 0;
}

// What the arguments name if that is a folder of images and no CIFAR-10.
std::shared_ptr<const Dataset> open_folder(const Arguments& arguments) {
  const std::string root = arguments.text("--root", "");
  std::error_code ignored;
  if (root.empty() || find_cifar(root) ||
      !std::filesystem::is_directory(std::filesystem::path(root) / "train", ignored)) {
    if (arguments.has("--image-size")) arguments.fail("--image-size is for a folder with train/CLASS/ in it");
    return nullptr;
  }
  DataOptions options{.dataset = "folder", .root = root};
  options.image_size = static_cast<int>(arguments.number("--image-size", 0, 1, kMaxImageSide));
  return open_dataset(options, 0);
}

int verify(const Arguments& arguments, std::ostream& out) {
  arguments.expect_positional(0, "verify [--root DIR] [--image-size N]");
  if (const auto dataset = open_folder(arguments)) {
    const int classes = static_cast<int>(dataset->classes.size());
    out << classes << " classes in " << dataset->source << '\n';
    print_split("train", dataset->train, classes, out);
    print_split("test", dataset->test, classes, out);
    out << "content hash " << hash_to_hex(dataset->content_hash) << '\n';
    return 0;
  }
  const CifarLocation location = require_cifar(arguments.text("--root", ""));
  const CifarSplits splits = check_cifar(location);
  out << (location.synthetic ? "SYNTHETIC set in " : "CIFAR-10 in ") << location.path << '\n';
  std::size_t broken = 0;
  for (const auto& file : splits.files) {
    out << "  " << (file.error.empty() ? cat(file.path, ": good") : file.error) << '\n';
    broken += file.error.empty() ? 0 : 1;
  }
  if (broken > 0) {
    throw DataError(cat("[data] ", plural(broken, "file"), " of ", splits.files.size(), " in ", location.path,
                        broken == 1 ? " is" : " are", " missing or broken (listed above)"));
  }
  print_split("train", splits.train, kCifarClasses, out);
  print_split("test", splits.test, kCifarClasses, out);
  out << "content hash " << hash_to_hex(content_hash(splits.train, ImageSet(), splits.test)) << '\n';
  return 0;
}

int import_set(const Arguments& arguments, std::ostream& out) {
  arguments.expect_positional(1, "import SOURCE --root DIR [--force]");
  const std::string root = arguments.required("--root");
  const std::string& source = arguments.positional(0);
  const auto location = find_cifar(source);
  if (!location) {
    throw DataError(cat("[data] no CIFAR-10 in ", source,
                        ": it must be a folder with cifar-10-batches-bin or "
                        "cifar-10-batches-py, one of these, or an official archive (.tar.gz)"));
  }
  if (location->synthetic)
    arguments.fail(cat(source, " is a synthetic set; write one with: rn_dist data synth"));
  const CifarSplits splits = read_cifar(*location);
  out << "Wrote "
      << write_cifar_binary(splits.train, splits.test, root, {.replace = arguments.has("--force")}) << '\n';
  return 0;
}

int synth(const Arguments& arguments, std::ostream& out) {
  arguments.expect_positional(0, "synth --root DIR [--train N] [--test N] [--seed N] [--force]");
  const std::string root = arguments.required("--root");
  const CifarCounts limit;
  const std::int64_t train_size = arguments.number("--train", limit.train(), 5, limit.train());
  const std::int64_t test_size = arguments.number("--test", limit.test(), 1, limit.test());
  if (train_size % kCifarTrainFiles != 0)
    arguments.fail("--train must be a multiple of 5, one part per file");
  const auto seed = static_cast<std::uint64_t>(arguments.number("--seed", 0, 0, INT64_MAX));
  const ImageSet train = make_synthetic(train_size, SyntheticSplit::kTrain, seed);
  const ImageSet test = make_synthetic(test_size, SyntheticSplit::kTest, seed);
  const auto written = write_cifar_binary(
      train, test, root, {.replace = arguments.has("--force"), .synthetic = true, .seed = seed});
  out << "Wrote a SYNTHETIC set: " << written << '\n';
  return 0;
}

int show(const Arguments& arguments, std::ostream& out) {
  arguments.expect_positional(0,
                              "show [--root DIR] [--image-size N] [--sheet FILE.png] [--split train|test]");
  const std::string split = arguments.text("--split", "train");
  if (split != "train" && split != "test") arguments.fail(cat("--split is train or test, not '", split, "'"));
  auto dataset = open_folder(arguments);
  if (!dataset) dataset = open_dataset({.root = arguments.text("--root", "")}, 0);
  const bool is_cifar = dataset->name == "cifar10", is_synthetic = dataset->name == "synthetic";
  out << (is_synthetic ? "SYNTHETIC set in "
          : is_cifar   ? "CIFAR-10 in "
                       : "Images in ")
      << dataset->source << '\n';
  out << "train " << dataset->train.size << ", test " << dataset->test.size << " images of 3 x "
      << dataset->train.height << " x " << dataset->train.width << '\n';
  const auto& names = dataset->classes;
  const int classes = static_cast<int>(names.size());
  const SplitStatistics train = measure(dataset->train, classes);
  const SplitStatistics test = measure(dataset->test, classes);
  for (std::size_t i = 0; i < names.size(); ++i) {
    out << "  " << i << ' ' << std::left << std::setw(12) << names[i] << std::right << std::setw(6)
        << train.class_counts[i] << std::setw(6) << test.class_counts[i] << '\n';
  }
  if (arguments.has("--sheet")) {
    const std::string path = arguments.text("--sheet", "");
    write_contact_sheet(path, split == "train" ? dataset->train : dataset->test, classes);
    out << "Wrote " << path << '\n';
  }
  return 0;
}

struct Command {
  const char* name;
  int (*run)(const Arguments&, std::ostream&);
  std::set<std::string> options;
  std::set<std::string> flags;
};

const std::vector<Command>& commands() {
  static const std::vector<Command> all = {
      {"fetch", fetch, {"--root", "--url", "--mirror"}, {"--force", "--keep-archive"}},
      {"verify", verify, {"--root", "--image-size"}, {}},
      {"import", import_set, {"--root"}, {"--force"}},
      {"synth", synth, {"--root", "--train", "--test", "--seed"}, {"--force"}},
      {"show", show, {"--root", "--image-size", "--sheet", "--split"}, {}},
  };
  return all;
}

}  // namespace

int run_data_command(std::span<const std::string> args, std::ostream& out) {
  bool help = args.empty();
  for (const auto& word : args) help = help || word == "--help" || word == "-h";
  if (help) {
    out << kHelp;
    return 0;
  }
  for (const auto& command : commands()) {
    if (args[0] == command.name) {
      return command.run(Arguments(args[0], args.subspan(1), command.options, command.flags), out);
    }
  }
  throw ConfigError(cat("rn_dist data: unknown command '", args[0],
                        "'; allowed: fetch, verify, import, synth, show\nSee: rn_dist data --help"));
}

}  // namespace rn::data
