#include "data/tar_gz_reader.h"

#include <zlib.h>

#include <fstream>
#include <span>

#include "core/error.h"
#include "data/tar_parser.h"

namespace rn::data {
namespace {

constexpr std::size_t kPiece = std::size_t{256} << 10;
constexpr std::uint64_t kMaxUnpackedBytes = std::uint64_t{1} << 30;  // the official archives hold 0.18 GiB

// zlib's inflate state for a gzip stream.
class Inflater {
 public:
  Inflater() { RN_CHECK(inflateInit2(&stream_, 16 + MAX_WBITS) == Z_OK, "zlib"); }  // 16: gzip, with its CRC
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream& stream() { return stream_; }

 private:
  z_stream stream_{};
};

class GzipStream {
 public:
  GzipStream(const std::string& path, TarParser& parser)
      : path_(path), file_(path, std::ios::binary), parser_(parser), input_(kPiece), output_(kPiece) {
    if (!file_) throw DataError(cat("[data] cannot open ", path));
  }

  void run() {
    while (true) {
      refill();
      auto& z = inflater_.stream();
      if (z.avail_in == 0) break;
      if (ended_) begin_next_member();
      if (!ended_) inflate_piece();
    }
    if (!ended_) fail(cat("it is truncated, ", consumed_, " bytes long"));
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(cat("[data] ", path_, " is not a readable tar.gz archive: ", what));
  }

  void refill() {
    auto& z = inflater_.stream();
    if (z.avail_in > 0) return;
    file_.read(input_.data(), static_cast<std::streamsize>(input_.size()));
    if (file_.bad()) fail("reading it failed");
    z.next_in = reinterpret_cast<Bytef*>(input_.data());
    z.avail_in = static_cast<uInt>(file_.gcount());
    consumed_ += z.avail_in;
  }

  // A gzip file may be several streams one after another, and may be padded with zeros; anything else is
  // refused.
  void begin_next_member() {
    auto& z = inflater_.stream();
    while (z.avail_in > 0 && *z.next_in == 0) {
      ++z.next_in;
      --z.avail_in;
      padded_ = true;
    }
    if (z.avail_in == 0) return;
    if (padded_ || *z.next_in != 0x1f) fail("other bytes follow its end");
    RN_CHECK(inflateReset(&z) == Z_OK);
    ended_ = false;
  }

  // Everything that the input at hand yields.
  void inflate_piece() {
    auto& z = inflater_.stream();
    int result = Z_OK;
    do {
      z.next_out = reinterpret_cast<Bytef*>(output_.data());
      z.avail_out = static_cast<uInt>(output_.size());
      result = inflate(&z, Z_NO_FLUSH);
      if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
        fail(cat(z.msg != nullptr ? z.msg : "corrupt data", ", near compressed byte ",
                 consumed_ - z.avail_in));
      }
      const std::size_t produced = output_.size() - z.avail_out;
      unpacked_ += produced;
      if (unpacked_ > kMaxUnpackedBytes) fail(cat("it unpacks to more than ", kMaxUnpackedBytes, " bytes"));
      parser_.feed(std::as_bytes(std::span(output_.data(), produced)));
    } while (z.avail_out == 0 && result != Z_STREAM_END);
    ended_ = result == Z_STREAM_END;
  }

  const std::string path_;
  std::ifstream file_;
  TarParser& parser_;
  Inflater inflater_;
  std::vector<char> input_;
  std::vector<char> output_;
  std::uint64_t consumed_ = 0;
  std::uint64_t unpacked_ = 0;
  bool ended_ = false;  // at the end of a gzip stream
  bool padded_ = false;
};

}  // namespace

void read_tar_gz(const std::string& path, TarVisitor& visitor) {
  TarParser parser(path, visitor);
  GzipStream(path, parser).run();
  parser.finish();
}

}  // namespace rn::data
