#include "config/suggest.h"

#include <gtest/gtest.h>

#include "config/option_table.h"

namespace rn::config {
namespace {

TEST(EditDistanceTest, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", "abc"), 0u);
  EXPECT_EQ(edit_distance("abc", "abd"), 1u);
  EXPECT_EQ(edit_distance("abc", "acb"), 1u);
  EXPECT_EQ(edit_distance("abcd", "acd"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("ab", "ba"), edit_distance("ba", "ab"));
}

TEST(NearestTest, NamesASlipOfTheFingersOnly) {
  const std::vector<std::string> names = {"auto", "never", "must"};
  EXPECT_EQ(nearest("atuo", names), "auto");
  EXPECT_EQ(nearest("nevr", names), "never");
  EXPECT_EQ(nearest("something", names), std::nullopt);
  EXPECT_EQ(nearest("", names), std::nullopt);
  EXPECT_EQ(nearest(std::string(100000, 'a'), names), std::nullopt);
}

TEST(NearestKeyTest, LooksInTheSectionThenInOthersThenAmongSections) {
  EXPECT_EQ(nearest_key("optimizer.learning_rate"), std::nullopt);
  EXPECT_EQ(nearest_key("optimizer.momentun"), "optimizer.momentum");
  EXPECT_EQ(nearest_key("train.weight_decay"), "optimizer.weight_decay");
  EXPECT_EQ(nearest_key("schedul.name"), "schedule.name");
  EXPECT_EQ(nearest_key("modle"), "model");
  EXPECT_EQ(nearest_key("precision"), "train.precision");
}

TEST(NearestKeyTest, EveryKeyWithoutItsThirdLetterIsRecognised) {
  for (const auto& option : option_table()) {
    if (option.name.size() < 5) continue;  // short names are near to several others
    auto name = option.name;
    name.erase(2, 1);
    EXPECT_EQ(nearest_key(option.section + "." + name), option.key());
  }
}

TEST(QuoteTest, KeepsMessagesOnOneLineAndShort) {
  EXPECT_EQ(quote("a b"), "'a b'");
  EXPECT_EQ(quote("a\nb\x7f"), "'a\\x0ab\\x7f'");
  EXPECT_EQ(quote(std::string(81, 'x')), "'" + std::string(80, 'x') + "...'");
  EXPECT_EQ(quote(std::string(80, 'x')), "'" + std::string(80, 'x') + "'");
  // é has two bytes, of which the 80th would be the first.
  EXPECT_EQ(quote(std::string(79, 'x') + "éé"), "'" + std::string(79, 'x') + "...'");
}

}  // namespace
}  // namespace rn::config
