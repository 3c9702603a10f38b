#include "core/utc_time.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace rn {
namespace {

TEST(UtcTimeTest, SecondsBecomeDatesOfTheCalendar) {
  const std::vector<std::pair<std::int64_t, std::string>> cases = {{0, "1970-01-01T00:00:00Z"},
                                                                   {951782399, "2000-02-28T23:59:59Z"},
                                                                   {951782400, "2000-02-29T00:00:00Z"},
                                                                   {1078099200, "2004-03-01T00:00:00Z"},
                                                                   {4102444799, "2099-12-31T23:59:59Z"}};
  for (const auto& [seconds, expected] : cases) {
    char text[32];
    format_utc(seconds, text);
    EXPECT_EQ(text, expected) << seconds;
  }
}

TEST(UtcTimeTest, NowIsATimeOfThisCentury) {
  const std::string now = utc_now();
  EXPECT_EQ(now.size(), 20u) << now;
  EXPECT_EQ(now.substr(0, 2), "20") << now;
  EXPECT_EQ(now.back(), 'Z') << now;
}

}  // namespace
}  // namespace rn
