#include "report/record_writer.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace rn::report {

std::size_t kept_size(std::string_view text, std::int64_t resume_step, bool at_end,
                      const std::function<void(const Json&)>& on_kept) {
  std::size_t kept = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) break;  // torn: its newline was never written
    const auto line = text.substr(begin, end - begin);
    begin = end + 1;
    const auto record = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!record.is_object()) continue;  // stays only if a whole record follows
    const auto step = record.find("step");
    if (step != record.end() && step->is_number_integer()) {
      const auto number = step->get<std::int64_t>();
      const bool comes_again = at_end && number == resume_step && record.value("event", "") == "eval";
      if (number > resume_step || comes_again) break;
    }
    kept = begin;
    if (on_kept) on_kept(record);
  }
  return kept;
}

RecordWriter::RecordWriter(const std::string& path, std::int64_t resume_step,
                           const std::function<void(const Json&)>& on_kept, bool at_end)
    : file_(path, AppendFile::Open::kExistingOrNew) {
  // A pipe or a device has no past.
  std::error_code ignored;
  if (!file_.is_open() || !std::filesystem::is_regular_file(path, ignored)) return;
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const std::size_t kept = resume_step < 0 ? 0 : kept_size(text, resume_step, at_end, on_kept);
  if (kept == text.size()) return;
  // Records behind steps that are not cut would stand there twice: then rather none.
  if (!file_.truncate(static_cast<std::int64_t>(kept))) file_ = AppendFile();
}

void RecordWriter::write(const Json& record) { file_.append(dump(record) + "\n"); }

}  // namespace rn::report
