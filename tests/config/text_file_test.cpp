#include "config/text_file.h"

#include <gtest/gtest.h>

namespace rn::config {
namespace {

// Line and column of the TextError, "ok" without one.
std::string where(const std::string& text) {
  try {
    checked_text(text);
  } catch (const TextError& error) {
    return std::to_string(error.at.line) + ":" + std::to_string(error.at.column);
  }
  return "ok";
}

TEST(CheckedTextTest, TakesUtf8AndNothingElse) {
  for (const char* text :
       {"", "plain", "é", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"}) {
    EXPECT_EQ(where(text), "ok") << text;
  }
  // A lone continuation, a cut character, overlong forms, a surrogate, beyond U+10FFFF, Latin-1.
  for (const char* text : {"\x80", "\xe2\x82", "\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xed\xa0\x80",
                           "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xe9t"}) {
    EXPECT_EQ(where(std::string("a\nb") + text), "2:2") << text;
  }
}

TEST(CheckedTextTest, DropsTheByteOrderMarkOfUtf8) {
  EXPECT_EQ(checked_text("\xef\xbb\xbf"
                         "a"),
            "a");
}

TEST(CheckedTextTest, RefusesControlCharacters) {
  EXPECT_EQ(where(std::string("a\0b", 3)), "1:2");
  EXPECT_EQ(where("a\x1b[0m"), "1:2");
  EXPECT_EQ(where("a\x7f"), "1:2");
  EXPECT_EQ(where("a\tb\r\nc"), "ok");
}

TEST(CheckedTextTest, RefusesTabsInTheIndentationOnly) {
  EXPECT_EQ(where("a:\n\tb: 1"), "2:1");
  EXPECT_EQ(where("a:\n  \tb: 1"), "2:3");
  EXPECT_EQ(where("a:\tb"), "ok");
  EXPECT_EQ(where("a: 1\n\t\n\t# words\n\t\r\nb: 2"), "ok");
}

TEST(IsOneLineTest, RefusesWhatWouldBreakALineOrAPath) {
  EXPECT_TRUE(is_one_line(""));
  EXPECT_TRUE(is_one_line("a é"));
  for (const auto& text :
       {std::string("a\nb"), std::string("a\0b", 3), std::string("\t"), std::string("\xff")}) {
    EXPECT_FALSE(is_one_line(text));
  }
}

}  // namespace
}  // namespace rn::config
