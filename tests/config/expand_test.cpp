#include "config/expand.h"

#include "config_test_support.h"

namespace rn::config {
namespace {

using namespace testing_support;

TEST(ExpandTest, VariablesAndDefaults) {
  const ScopedVariable set("RN_A", "x"), empty("RN_E", ""), unset("RN_U", nullptr);
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"plain $ {text}", "plain $ {text}"},
                                                       {"${RN_A}", "x"},
                                                       {"a${RN_A}b${RN_A}", "axbx"},
                                                       {"${RN_A:-d}", "x"},
                                                       {"${RN_U:-d}", "d"},
                                                       {"${RN_U:-}", ""},
                                                       {"${RN_E:-d}", "d"},
                                                       {"${RN_E}", ""},
                                                       {"$RN_A", "$RN_A"},
                                                       {"$${RN_A}", "${RN_A}"},
                                                       {"$$", "$$"},
                                                       {"${RN_U:-a:-b}", "a:-b"},
                                                       {"$", "$"},
                                                       {"$$${RN_A}", "$${RN_A}"}};
  for (const auto& [text, expected] : cases) {
    const auto result = expand_environment(text);
    EXPECT_EQ(result.error, "") << text;
    EXPECT_EQ(result.text, expected) << text;
  }
}

TEST(ExpandTest, WhatAVariableHoldsIsNotExpandedAgain) {
  const ScopedVariable outer("RN_A", "${RN_A}");
  EXPECT_EQ(expand_environment("${RN_A}").text, "${RN_A}");
}

TEST(ExpandTest, BadFormsAreErrors) {
  const ScopedVariable unset("RN_U", nullptr);
  for (const char* text :
       {"${", "${RN_U", "${RN_U}", "${}", "${:-x}", "${1A}", "${A-B}", "${A B}", "${A:x}", "${é}"}) {
    EXPECT_NE(expand_environment(text).error, "") << text;
  }
}

TEST(ExpandTest, EscapedTextComesBack) {
  for (const char* text : {"", "$", "$$", "${", "${A}", "$${A}", "$$${A}", "a${b$${c", "$$${${"}) {
    const auto escaped = escape_environment(text);
    const auto back = expand_environment(escaped);
    EXPECT_EQ(back.error, "") << escaped;
    EXPECT_EQ(back.text, text) << escaped;
  }
}

}  // namespace
}  // namespace rn::config
