#include "data/tar_parser.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "core/error.h"

namespace rn::data {
namespace {

constexpr std::uint64_t kMaxMembers = 10'000;
constexpr std::uint64_t kMaxMemberBytes = std::uint64_t{1} << 32;

// Fields of a ustar header: offset and width.
struct Field {
  std::size_t offset;
  std::size_t width;
};
constexpr Field kName{0, 100};
constexpr Field kSize{124, 12};
constexpr Field kChecksum{148, 8};
constexpr std::size_t kType = 156;
constexpr Field kMagic{257, 5};
constexpr Field kPrefix{345, 155};

std::string_view text_of(std::span<const unsigned char> header, Field field) {
  const std::string_view all(reinterpret_cast<const char*>(header.data()) + field.offset, field.width);
  return all.substr(0, all.find('\0'));
}

// An octal number with spaces or zeros around it; nullopt: anything else (GNU's binary sizes are for files
// above 8 GiB, which are not wanted here).
std::optional<std::uint64_t> number_of(std::span<const unsigned char> header, Field field) {
  std::string_view text = text_of(header, field);
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '7') return std::nullopt;
    value = value * 8 + static_cast<std::uint64_t>(c - '0');  // 12 digits at most: no overflow
  }
  return value;
}

// The sum of all header bytes, the checksum's own taken as spaces.
std::uint64_t checksum_of(std::span<const unsigned char> header) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < header.size(); ++i) {
    const bool own = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.width;
    sum += own ? ' ' : header[i];
  }
  return sum;
}

std::string full_name(std::span<const unsigned char> header) {
  std::string name(text_of(header, kName));
  const std::string_view prefix = text_of(header, kPrefix);
  if (text_of(header, kMagic) == "ustar" && !prefix.empty()) name = cat(prefix, "/", name);
  while (name.starts_with("./")) name.erase(0, 2);
  return name;
}

}  // namespace

void TarParser::fail(const std::string& what) const {
  throw DataError(cat("[data] ", path_, " is not a readable tar.gz archive: ", what));
}

void TarParser::feed(std::span<const std::byte> bytes) {
  while (!bytes.empty() && !ended_) {
    std::size_t used = 0;
    if (body_left_ > 0) {
      used = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, bytes.size()));
      if (wanted_)
        body_.insert(body_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(used));
      body_left_ -= used;
      if (body_left_ == 0 && wanted_) visitor_.file(name_, std::move(body_));
    } else if (padding_left_ > 0) {
      used = static_cast<std::size_t>(std::min<std::uint64_t>(padding_left_, bytes.size()));
      padding_left_ -= used;
    } else {
      used = std::min(kBlock - header_used_, bytes.size());
      std::transform(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(used),
                     header_.begin() + header_used_,
                     [](std::byte b) { return static_cast<unsigned char>(b); });
      header_used_ += used;
      if (header_used_ == kBlock) {
        header_used_ = 0;
        header();
      }
    }
    bytes = bytes.subspan(used);
  }
}

void TarParser::header() {
  if (std::all_of(header_.begin(), header_.end(), [](unsigned char c) { return c == 0; })) {
    ended_ = true;
    return;
  }
  if (number_of(header_, kChecksum) != checksum_of(header_)) fail("a member header has a wrong checksum");
  const auto size = number_of(header_, kSize);
  if (!size || *size > kMaxMemberBytes) fail("a member has an impossible size");
  if (++members_ > kMaxMembers) fail(cat("it has more than ", kMaxMembers, " members"));
  name_ = full_name(header_);
  body_left_ = *size;
  padding_left_ = (kBlock - *size % kBlock) % kBlock;
  body_ = {};
  // Extended headers (pax, GNU long names) are skipped like links and folders: no wanted name needs them, and
  // a size that only they state makes the next header's checksum fail.
  const char type = static_cast<char>(header_[kType]);
  const bool regular = type == '0' || type == '\0';
  wanted_ = regular && visitor_.wants(name_, *size);
  if (wanted_ && body_left_ == 0) visitor_.file(name_, {});
}

void TarParser::finish() const {
  if (body_left_ > 0) fail(cat("it ends inside the member ", name_));
  if (header_used_ > 0) fail("it ends inside a member header");
}

}  // namespace rn::data
