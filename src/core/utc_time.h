// Points in time as records and reports give them: ISO 8601, UTC, whole seconds.
#pragma once

#include <cstdint>
#include <string>

namespace rn {

// "2026-01-31T23:59:59Z" for seconds since 1970, with a final zero. Async-signal-safe.
void format_utc(std::int64_t seconds, char (&text)[32]);

std::string utc_now();

}  // namespace rn
