#include "core/utc_time.h"

#include <cstring>
#include <ctime>

namespace rn {
namespace {

// Writes the decimal digits of `value`, padded with zeros to `width`.
void put_digits(char* at, std::int64_t value, int width) {
  for (int i = width - 1; i >= 0; --i, value /= 10) at[i] = static_cast<char>('0' + value % 10);
}

}  // namespace

void format_utc(std::int64_t seconds, char (&text)[32]) {
  // gmtime_r is not async-signal-safe. Days to a date: Hinnant, "chrono-compatible low-level date
  // algorithms".
  const std::int64_t days = seconds / 86400, second = seconds % 86400;
  const std::int64_t z = days + 719468, era = z / 146097, doe = z - era * 146097;
  const std::int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
  const std::int64_t month = mp < 10 ? mp + 3 : mp - 9;
  std::memcpy(text, "0000-00-00T00:00:00Z", 21);
  put_digits(text, yoe + era * 400 + (month <= 2 ? 1 : 0), 4);
  put_digits(text + 5, month, 2);
  put_digits(text + 8, doy - (153 * mp + 2) / 5 + 1, 2);
  put_digits(text + 11, second / 3600, 2);
  put_digits(text + 14, second / 60 % 60, 2);
  put_digits(text + 17, second % 60, 2);
}

std::string utc_now() {
  char text[32];
  format_utc(std::time(nullptr), text);
  return text;
}

}  // namespace rn
