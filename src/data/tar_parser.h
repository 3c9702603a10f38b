// The tar half of the archive reader: fed with bytes in pieces of any size, it finds headers and members.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/tar_gz_reader.h"

namespace rn::data {

class TarParser {
 public:
  TarParser(std::string path, TarVisitor& visitor) : path_(std::move(path)), visitor_(visitor) {}

  void feed(std::span<const std::byte> bytes);
  void finish() const;  // throws DataError when the archive stops inside a member

 private:
  static constexpr std::size_t kBlock = 512;

  void header();  // header_ is complete
  [[noreturn]] void fail(const std::string& what) const;

  const std::string path_;  // for messages
  TarVisitor& visitor_;
  std::array<unsigned char, kBlock> header_{};
  std::size_t header_used_ = 0;
  std::uint64_t body_left_ = 0;  // bytes of the current member that are still to come
  std::uint64_t padding_left_ = 0;
  std::uint64_t members_ = 0;
  bool wanted_ = false;
  bool ended_ = false;  // the zero block was seen; what follows is ignored
  std::string name_;
  std::vector<std::byte> body_;
};

}  // namespace rn::data
