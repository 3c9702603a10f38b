#include "include_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/error.h"

namespace rn::app_testing {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = RN_SOURCE_DIR;

std::string content_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string lines(const std::vector<std::string>& all) {
  std::string text;
  for (const auto& line : all) text += line + "\n";
  return text;
}

Sources our_sources() {
  Sources sources;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "src")) {
    const auto extension = entry.path().extension();
    if (extension != ".h" && extension != ".cpp" && extension != ".cu" && extension != ".cuh") continue;
    sources[fs::relative(entry.path(), kRoot / "src")] = content_of(entry.path());
  }
  return sources;
}

TEST(IncludeGraphTest, OurSourcesFollowTheGraph) {
  const auto sources = our_sources();
  ASSERT_GT(sources.size(), 100u);
  EXPECT_EQ(lines(include_violations(sources)), "");
}

TEST(IncludeGraphTest, OurLibrariesAreLinkedAlongTheGraph) {
  std::map<std::string, std::string> lists;
  for (const auto& entry : fs::directory_iterator(kRoot / "src")) {
    if (entry.is_directory()) lists[entry.path().filename()] = content_of(entry.path() / "CMakeLists.txt");
  }
  ASSERT_TRUE(lists.contains("train"));
  EXPECT_EQ(lines(link_violations(our_sources(), lists)), "");
}

// What the checker must find; without these its silence would mean nothing.
struct BadInclude {
  const char* file;
  const char* text;
  const char* complaint;  // empty: allowed
};

void PrintTo(const BadInclude& value, std::ostream* out) { *out << value.file << " with " << value.text; }

class IncludeRuleTest : public testing::TestWithParam<BadInclude> {};

TEST_P(IncludeRuleTest, IsCheckedOnMadeUpContent) {
  const auto& [file, text, complaint] = GetParam();
  Sources sources;
  for (const char* header :
       {"core/error.h", "io/files.h", "config/load.h", "dist/session.h", "dist/options.h", "data/loader.h",
        "model/net.h", "report/meters.h", "train/trainer.h", "app/setup.h"}) {
    sources[header] = "#pragma once\n";
  }
  sources[file] = std::string("// A comment.\n") + text;
  const auto found = include_violations(sources);
  if (*complaint == '\0') {
    EXPECT_EQ(lines(found), "");
  } else {
    ASSERT_EQ(found.size(), 1u) << lines(found);
    EXPECT_TRUE(found[0].starts_with(cat(file, ":2: "))) << found[0];
    EXPECT_NE(found[0].find(complaint), std::string::npos) << found[0];
  }
}

INSTANTIATE_TEST_SUITE_P(
    , IncludeRuleTest,
    testing::Values(BadInclude{"core/a.cpp", "#include \"core/error.h\"", ""},
                    BadInclude{"core/a.cpp", "#include \"io/files.h\"", "core must not include io"},
                    BadInclude{"io/a.h", "#include \"core/error.h\"", ""},
                    BadInclude{"io/a.h", "#include \"data/loader.h\"", "io must not include data"},
                    BadInclude{"config/a.cpp", "#include \"dist/options.h\"", ""},
                    BadInclude{"config/a.cpp", "#include \"dist/session.h\"", "config must not include dist"},
                    BadInclude{"dist/a.cpp", "#include \"data/loader.h\"", "dist must not include data"},
                    BadInclude{"dist/a.cpp", "#include \"dist/session.h\"", ""},
                    BadInclude{"data/a.cpp", "#include \"io/files.h\"", ""},
                    BadInclude{"data/a.cpp", "#include \"model/net.h\"", "data must not include model"},
                    BadInclude{"model/a.cpp", "  #  include \"report/meters.h\"",
                               "model must not include report"},
                    BadInclude{"report/a.cpp", "#include \"dist/session.h\"", "report must not include dist"},
                    BadInclude{"train/a.cpp", "#include \"report/meters.h\"", ""},
                    BadInclude{"train/a.cpp", "#include \"config/load.h\"", "train must not include config"},
                    BadInclude{"train/a.cpp", "#include \"app/setup.h\"", "train must not include app"},
                    BadInclude{"app/a.cpp", "#include \"config/load.h\"", ""},
                    BadInclude{"main.cpp", "#include \"train/trainer.h\"", ""},
                    BadInclude{"app/a.cpp", "#include \"train/gone.h\"", "no such file"},
                    BadInclude{"model/a.h", "#include <torch/torch.h>", ""},
                    BadInclude{"dist/a.cpp", "#include <ATen/ATen.h>", "torch only in"},
                    BadInclude{"data/a.cpp", "#include \"torch/torch.h\"", "torch only in"},
                    BadInclude{"train/options.h", "#include <torch/torch.h>", "free of torch"},
                    BadInclude{"dist/a.cpp", "#include <mpi.h>", ""},
                    BadInclude{"train/a.cpp", "#include <mpi.h>", "only in dist"},
                    BadInclude{"model/a.cpp", "#include <cuda_runtime_api.h>", "only in dist"},
                    BadInclude{"app/a.cpp", "#include <nccl.h>", "only in dist"},
                    BadInclude{"core/log.cpp", "#include <spdlog/logger.h>", ""},
                    BadInclude{"core/log.h", "#include <spdlog/logger.h>", "only in core/log.cpp"},
                    BadInclude{"train/a.cpp", "#include <fmt/core.h>", "only in core/log.cpp"},
                    BadInclude{"app/a.cpp", "#include <yaml-cpp/yaml.h>", "only config"},
                    BadInclude{"app/a.cpp", "// #include <mpi.h>", ""}));

TEST(IncludeGraphTest, AModuleThatTheGraphDoesNotKnowIsFound) {
  EXPECT_EQ(include_violations({{"misc/helpers.h", "#pragma once\n"}}).size(), 1u);
}

TEST(IncludeGraphTest, WrongAndMissingLinksAreFound) {
  const Sources sources = {{"io/a.cpp", "#include \"core/error.h\""},
                           {"data/a.cpp", "#include \"io/files.h\""}};
  const std::string core = "rn_add_module(core)", io = "rn_add_module(io LINK rn::core)";
  EXPECT_EQ(lines(link_violations(sources, {{"core", core}, {"io", io}, {"data", "LINK rn::io"}})), "");
  EXPECT_EQ(link_violations(sources, {{"core", core}, {"io", "rn_add_module(io)"}}),
            (std::vector<std::string>{"io includes core and does not link rn::core"}));
  EXPECT_EQ(link_violations(sources, {{"core", "LINK rn::io"}, {"io", io}}),
            (std::vector<std::string>{"core/CMakeLists.txt links rn::io, which it must not include"}));
}

TEST(FileLengthTest, NoFileHasMoreThan500Lines) {
  constexpr std::ptrdiff_t kMostLines = 500;
  int files = 0;
  for (const char* folder : {"src", "tests", "tools", "launch"}) {
    for (auto entry = fs::recursive_directory_iterator(kRoot / folder);
         entry != fs::recursive_directory_iterator(); ++entry) {
      if (fs::relative(entry->path(), kRoot) == "tests/data")
        entry.disable_recursion_pending();  // no sources
      if (!entry->is_regular_file() || entry->path().extension() == ".pyc") continue;
      ++files;
      const std::string text = content_of(entry->path());
      EXPECT_LE(std::count(text.begin(), text.end(), '\n'), kMostLines) << entry->path();
    }
  }
  EXPECT_GT(files, 200);
}

}  // namespace
}  // namespace rn::app_testing
