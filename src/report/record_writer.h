// metrics.jsonl: one JSON object a line, in the order of events.
//
// On resume the file is cut back to the checkpoint's step: it ends before the first record of a later step,
// and a torn last line goes too. What stands before that point stays, run_start and run_end of earlier parts
// included, so a step never stands there twice. Cutting is one ftruncate: it needs no space, and a crash
// leaves the file cut or uncut.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "report/append_file.h"
#include "report/records.h"

namespace rn::report {

// Where the file is to be cut: bytes of `text` to keep. `on_kept` sees every record that stays, in order.
// `at_end`: the run had taken its last step; what is left of it are the evaluations of that step, once more.
std::size_t kept_size(std::string_view text, std::int64_t resume_step, bool at_end,
                      const std::function<void(const Json&)>& on_kept);

// Never throws because of the file: what cannot be written is warned about once. Not thread-safe.
class RecordWriter {
 public:
  // `resume_step` < 0: a fresh run; records that stand in the file already are removed. Otherwise they are
  // cut back to that step and those that stay are shown to `on_kept`.
  RecordWriter(const std::string& path, std::int64_t resume_step,
               const std::function<void(const Json&)>& on_kept = {}, bool at_end = false);

  void write(const Json& record);

 private:
  AppendFile file_;
};

}  // namespace rn::report
