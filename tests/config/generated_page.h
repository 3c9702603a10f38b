// Pages of docs/ that are made from the option table.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace rn::config::testing_support {

// Expects the page in the repository to be `text`. With RN_UPDATE_DOCS=1 in the environment it is written
// instead.
inline void expect_page(const std::string& name, const std::string& text) {
  const auto path = std::string(RN_SOURCE_DIR) + "/docs/" + name;
  if (const char* update = std::getenv("RN_UPDATE_DOCS"); update != nullptr && std::string(update) == "1") {
    std::ofstream(path, std::ios::binary) << text;
  }
  std::ifstream in(path, std::ios::binary);
  std::ostringstream held;
  held << in.rdbuf();
  EXPECT_TRUE(held.str() == text) << "docs/" << name
                                  << " is out of date: run config_test with RN_UPDATE_DOCS=1";
}

}  // namespace rn::config::testing_support
