// Broken files of all kinds: whatever stands in one, it loads or it is one ConfigError.
#include <chrono>
#include <fstream>
#include <random>
#include <sstream>

#include "config/dump.h"
#include "config/load.h"
#include "config_test_support.h"

namespace rn::config {
namespace {

using namespace testing_support;

std::string shipped(const char* name) {
  std::ifstream in(std::string(RN_SOURCE_DIR) + "/configs/" + name);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// True if it loads; a ConfigError is fine, anything else fails the test.
bool loads(const std::string& text, const std::string& context) {
  try {
    load(text);
    return true;
  } catch (const ConfigError& error) {
    EXPECT_STRNE(error.what(), "") << context;
  } catch (const std::exception& error) {
    ADD_FAILURE() << context << ": " << error.what() << "\n" << text.substr(0, 2000);
  }
  return false;
}

TEST(MutationTest, DamagedFilesLoadOrAreConfigErrors) {
  const std::string fragments[] = {"\t",           ":",     ": ",     "- ", "? ", "{",   "}",    "[",  "]",
                                   "&a ",          "*a",    "!!int ", "\"", "'",  "|\n", ">\n",  "#",  "%",
                                   "---\n",        "...\n", "\n",     "  ", ",",  "~",   "<<: ", "${", "\xff",
                                   "\xef\xbb\xbf", "\x01",  "@",      "`",  "\\", "\r"};
  const std::vector<std::string> originals = {shipped("swa.yaml"), shipped("debug.yaml"),
                                              dump_yaml(RunConfig{}),
                                              "{train: {epochs: 3}, run: {name: \"a\\u00e9\"}}"};
  int loaded = 0, tried = 0;
  for (unsigned seed = 0; seed < 1500; ++seed) {
    std::mt19937 random(seed);
    auto text = originals[seed % originals.size()];
    for (unsigned edit = 0; edit <= seed % 3; ++edit) {
      const auto at = random() % (text.size() + 1);
      switch (random() % 3) {
        case 0:
          text.insert(at, fragments[random() % std::size(fragments)]);
          break;
        case 1:
          text.erase(at, 1 + random() % 8);
          break;
        default:
          text = text.substr(0, at) + text.substr(random() % (text.size() + 1));
      }
    }
    loaded += loads(text, cat("seed ", seed));
    ++tried;
  }
  // Both ways out must have been taken, else the mutations test nothing.
  EXPECT_GT(loaded, 0);
  EXPECT_LT(loaded, tried);
}

TEST(MutationTest, LargeAndDeepFilesAreRefusedWithinSeconds) {
  for (const std::string part : {"[", "{", "- ", "? ", "{a: ", "a: [", "\"", "a\n", "&a ", "!a ",
                                 "x: &x [*x]\n", "a, ", "'", "|\n ", "# c\n", "a: 1\n", "%A b\n", "---\n"}) {
    std::string text;
    while (text.size() + part.size() <= 1 << 20) text += part;
    const auto start = std::chrono::steady_clock::now();
    EXPECT_FALSE(loads(text, part)) << part;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    EXPECT_LT(took.count(), 20) << part;
  }
}

}  // namespace
}  // namespace rn::config
