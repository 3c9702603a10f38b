// The short pass: every target eats its corpus, every cut of it, and seeded mutations. In seconds, with any
// compiler, and under the sanitizers where the suite is built with them. The long pass is libFuzzer's.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "targets.h"

namespace rn::fuzz {
namespace {

constexpr int kMutationsPerFile = 60;
constexpr std::uint32_t kSeed = 1;  // printed with every failure, as is the file

Input bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

struct CorpusFile {
  std::string name;
  std::string content;
};

std::vector<CorpusFile> corpus(const std::string& target) {
  std::vector<CorpusFile> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(RN_SOURCE_DIR "/tests/fuzz/corpus/" + target)) {
    std::ifstream in(entry.path(), std::ios::binary);
    files.push_back({entry.path().filename().string(), {std::istreambuf_iterator<char>(in), {}}});
  }
  std::ranges::sort(files, {}, &CorpusFile::name);
  return files;
}

// A few edits of the kinds that break readers: bits, numbers at their limits, cuts, repetitions, and pieces
// of another file.
std::string mutate(std::string text, const std::string& other, std::mt19937& random) {
  const auto below = [&](std::size_t bound) { return bound == 0 ? 0 : random() % bound; };
  for (std::size_t edit = 0; edit <= below(4); ++edit) {
    const std::size_t at = below(text.size());
    switch (below(6)) {
      case 0:
        if (!text.empty()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        break;
      case 1:
        if (!text.empty()) text[at] = static_cast<char>(random());
        break;
      case 2:
        text.replace(at, std::min<std::size_t>(8, text.size() - at),
                     std::string(8, below(2) ? '\xff' : '\0'));
        break;
      case 3:
        text.erase(at, 1 + below(16));
        break;
      case 4:
        text.insert(at, text.substr(below(text.size()), below(32)));
        break;
      default:
        text.insert(at, other.substr(below(other.size()), below(32)));
        break;
    }
  }
  return text;
}

class FuzzTest : public testing::TestWithParam<Target> {
 protected:
  static void run(const std::string& input, const std::string& what) {
    try {
      GetParam().run(bytes_of(input));
    } catch (const std::exception& error) {
      ADD_FAILURE() << GetParam().name << ", " << what << ": " << error.what();
    }
  }
};

TEST_P(FuzzTest, EatsItsCorpus) {
  const auto files = corpus(GetParam().name);
  ASSERT_FALSE(files.empty());
  for (const auto& [name, content] : files) run(content, name);
  run("", "nothing");
}

TEST_P(FuzzTest, EatsCutsOfItsCorpus) {
  for (const auto& [name, content] : corpus(GetParam().name)) {
    for (std::size_t size = 0; size < content.size(); size += 1 + content.size() / 100) {
      run(content.substr(0, size), name + " cut to " + std::to_string(size));
    }
  }
}

TEST_P(FuzzTest, EatsMutationsOfItsCorpus) {
  const auto files = corpus(GetParam().name);
  for (std::size_t i = 0; i < files.size(); ++i) {
    std::mt19937 random(kSeed + static_cast<std::uint32_t>(i));
    for (int mutation = 0; mutation < kMutationsPerFile; ++mutation) {
      const auto& other = files[random() % files.size()].content;
      run(mutate(files[i].content, other, random),
          files[i].name + ", seed " + std::to_string(kSeed) + ", mutation " + std::to_string(mutation));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Readers, FuzzTest, testing::ValuesIn(kTargets),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace rn::fuzz
