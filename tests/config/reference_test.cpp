#include "config/reference.h"

#include "config/option_table.h"
#include "config_test_support.h"
#include "generated_page.h"

namespace rn::config {
namespace {

TEST(ReferenceTest, ThePageInTheRepositoryIsUpToDate) {
  testing_support::expect_page("configuration.md", reference_markdown());
}

TEST(ReferenceTest, EveryOptionStandsOnThePageAndInTheHelp) {
  const auto page = reference_markdown(), help = help_text();
  for (const auto& option : option_table()) {
    EXPECT_NE(page.find("| `" + option.key() + "` |"), std::string::npos) << option.key();
    EXPECT_NE(help.find("\n  " + option.key() + "="), std::string::npos) << option.key();
  }
  for (const auto& section : sections()) {
    EXPECT_NE(page.find("\n## " + section.name + "\n"), std::string::npos) << section.name;
    EXPECT_NE(help.find(section.name + ": " + section.help), std::string::npos) << section.name;
  }
}

TEST(ReferenceTest, TheHelpFitsATerminal) {
  std::istringstream lines(help_text());
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 110u) << line;
}

TEST(ReferenceTest, EveryRowOfThePageHasFourCells) {
  std::istringstream lines(reference_markdown());
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("|")) continue;
    int bars = 0;
    for (std::size_t i = 0; i < line.size(); ++i) bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
    EXPECT_EQ(bars, 5) << line;
  }
}

}  // namespace
}  // namespace rn::config
