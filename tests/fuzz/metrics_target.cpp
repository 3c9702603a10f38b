#include "report/record_writer.h"
#include "report/summary.h"
#include "targets.h"

namespace rn::fuzz {

// The part that stays ends with a whole line, and cutting it again cuts nothing.
void metrics(Input input) {
  const auto [number, bytes] = split_number(input);
  const std::string text = text_of(bytes);
  const std::int64_t step = number / 2;
  const bool at_end = number % 2 == 1;
  report::Summary summary;
  const std::size_t kept =
      report::kept_size(text, step, at_end, [&](const report::Json& record) { summary.add(record); });
  expect(kept <= text.size() && (kept == 0 || text[kept - 1] == '\n'), "cut inside a line");
  expect(report::kept_size(text.substr(0, kept), step, at_end, {}) == kept, "cut again");
  report::format_summary(summary, "done", "runs/x");
}

}  // namespace rn::fuzz
