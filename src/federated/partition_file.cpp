#include "federated/partition_file.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/tensor_hash.h"
#include "io/atomic_file.h"

namespace rn::federated {
namespace {

constexpr std::string_view kTitle = "rn_dist partition 1";
constexpr std::uint64_t kMostBytes = std::uint64_t{4} << 30;
constexpr std::size_t kLongestQuote = 40;  // of a line, in messages

std::string labels_hash(const LabelView& data) {
  return hash_to_hex(tensor_hash(std::as_bytes(data.labels)));
}

void append_number(std::string& text, std::int64_t number) {
  char digits[24];
  text.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// Printable and short, whatever the file holds.
std::string quoted(std::string_view text) {
  std::string quote = "'";
  for (const char c : text.substr(0, kLongestQuote)) quote += c >= ' ' && c <= '~' ? c : '?';
  return quote + (text.size() > kLongestQuote ? "...'" : "'");
}

// The lines of the file that count, one after another.
class Lines {
 public:
  Lines(const std::string& path, std::string_view text) : path_(path), text_(text) {}

  // False at the end.
  bool next() {
    while (!text_.empty()) {
      const auto end = std::min(text_.find('\n'), text_.size());
      line_ = text_.substr(0, end);
      text_.remove_prefix(std::min(end + 1, text_.size()));
      ++number_;
      if (line_.ends_with('\r')) line_.remove_suffix(1);
      if (line_.find_first_not_of(" \t") != std::string_view::npos && line_.front() != '#') return true;
    }
    line_ = {};
    return false;
  }

  std::string_view line() const { return line_; }

  template <typename... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    throw DataError(cat(path_, ":", std::max<std::int64_t>(1, number_), ": ", parts...));
  }

 private:
  const std::string& path_;
  std::string_view text_;
  std::string_view line_;
  std::int64_t number_ = 0;
};

// Takes the first word off `text`; empty at its end.
std::string_view take_word(std::string_view& text) {
  const auto begin = std::min(text.find_first_not_of(" \t"), text.size());
  text.remove_prefix(begin);
  const auto end = std::min(text.find_first_of(" \t"), text.size());
  const auto word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

std::optional<std::int64_t> to_number(std::string_view word) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc{} || end != word.data() + word.size() || number < 0) return std::nullopt;
  return number;
}

// "clients 3" -> 3.
std::int64_t header_number(Lines& lines, std::string_view key) {
  if (!lines.next()) lines.refuse("the file ends where '", key, " <number>' belongs");
  std::string_view rest = lines.line();
  const auto name = take_word(rest);
  const auto number = to_number(take_word(rest));
  if (name != key || !number || !take_word(rest).empty()) {
    lines.refuse("expected '", key, " <number>', found ", quoted(lines.line()));
  }
  return *number;
}

void check_header(Lines& lines, std::int64_t clients, std::int64_t images, const LabelView& data) {
  if (clients < 1 || clients > std::int64_t{UINT32_MAX}) lines.refuse(clients, " clients");
  if (images != static_cast<std::int64_t>(data.labels.size())) {
    lines.refuse("the partition is of ", images, " images, the training set has ", data.labels.size());
  }
}

void check_labels(const Lines& lines, const LabelView& data) {
  std::string_view rest = lines.line();
  take_word(rest);
  const auto hash = take_word(rest);
  if (hash.empty() || !take_word(rest).empty()) {
    lines.refuse("expected 'labels <hash>', found ", quoted(lines.line()));
  }
  if (hash != labels_hash(data)) {
    lines.refuse("the partition was made for other labels (hash ", quoted(hash), ", this training set has '",
                 labels_hash(data), "'); make it anew with rn_dist split, or take the line out");
  }
}

void read_client(const Lines& lines, std::int64_t client, std::int64_t images,
                 std::vector<std::uint32_t>& indices) {
  const auto first = static_cast<std::ptrdiff_t>(indices.size());
  std::string_view rest = lines.line();
  for (auto word = take_word(rest); !word.empty(); word = take_word(rest)) {
    const auto index = to_number(word);
    if (!index) lines.refuse("client ", client, ": ", quoted(word), " is not the index of an image");
    if (*index >= images) {
      lines.refuse("client ", client, ": image ", *index, " of a training set of ", images,
                   " (indices begin at 0)");
    }
    indices.push_back(static_cast<std::uint32_t>(*index));
  }
  std::sort(indices.begin() + first, indices.end());
  const auto twice = std::adjacent_find(indices.begin() + first, indices.end());
  if (twice != indices.end()) lines.refuse("client ", client, ": image ", *twice, " stands there twice");
}

}  // namespace

void save_partition(io::FileSystem& files, const std::string& path, const Partition& partition,
                    const LabelView& data) {
  const auto as_bytes = [](std::string_view text) { return std::as_bytes(std::span(text)); };
  io::write_file_atomically(files, path, [&](io::WritableFile& file) {
    file.append(as_bytes(cat(kTitle, "\nclients ", partition.clients(), "\nimages ", data.labels.size(),
                             "\nlabels ", labels_hash(data), "\n")));
    constexpr std::size_t kChunk = std::size_t{1} << 20;
    std::string text;
    for (std::int64_t client = 0; client < partition.clients(); ++client) {
      for (const auto image : partition.of(client)) {
        append_number(text, image);
        text += ' ';
      }
      if (!text.empty()) text.back() = '\n';
      if (text.size() < kChunk) continue;
      file.append(as_bytes(text));
      text.clear();
    }
    file.append(as_bytes(text));
  });
}

Partition load_partition(io::FileSystem& files, const std::string& path, const LabelView& data) {
  const auto bytes = files.read(path, kMostBytes);
  Lines lines(path, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  if (!lines.next() || lines.line() != kTitle) {
    lines.refuse("no partition: the first line is not '", kTitle, "' but ", quoted(lines.line()));
  }
  const std::int64_t clients = header_number(lines, "clients");
  const std::int64_t images = header_number(lines, "images");
  check_header(lines, clients, images, data);

  std::vector<std::uint32_t> indices;
  std::vector<std::int64_t> offsets = {0};
  bool more = lines.next();
  if (more && lines.line().starts_with("labels ")) {
    check_labels(lines, data);
    more = lines.next();
  }
  for (; more; more = lines.next()) {
    const auto client = static_cast<std::int64_t>(offsets.size()) - 1;
    if (client == clients) lines.refuse("more lines than the ", clients, " clients of the header");
    read_client(lines, client, images, indices);
    offsets.push_back(static_cast<std::int64_t>(indices.size()));
  }
  if (const auto read = static_cast<std::int64_t>(offsets.size()) - 1; read < clients) {
    lines.refuse(
        "the file ends after ", read, " of ", clients,
        " clients; every client needs a line with its images (a client without images cannot train)");
  }
  return Partition(std::move(indices), std::move(offsets));
}

}  // namespace rn::federated
