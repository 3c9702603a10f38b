#include "data/jpeg_decoder.h"

#include <csetjmp>
#include <cstdio>

// clang-format off: jpeglib.h needs what stdio.h declares, and jerror.h what jpeglib.h does.
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "core/error.h"

namespace rn::data {
namespace {

// A progressive file of few bytes can ask for many passes over a large picture; encoders make about ten.
constexpr int kMostScans = 100;

// What a progressive picture of the largest size needs: 16-bit coefficients of three full planes, and rows.
constexpr long kMostMemory = 6 * static_cast<long>(kMaxPicturePixels) + (16L << 20);

// Warnings that leave the picture whole; after the others libjpeg fills what is missing with grey.
bool is_harmless(int warning) {
  return warning == JWRN_ADOBE_XFORM || warning == JWRN_EXTRANEOUS_DATA || warning == JWRN_JFIF_MAJOR ||
         warning == JWRN_TOO_MUCH_DATA;
}

}  // namespace

// Note [Jumps out of libjpeg]
// libjpeg reports errors by calling error_exit, which must not return. It jumps back into `guarded`, over
// frames of libjpeg alone: between setjmp and the jump no object of ours with a destructor is made.
struct JpegDecoder::Impl {
  jpeg_decompress_struct info = {};
  jpeg_error_mgr errors = {};
  jpeg_progress_mgr progress = {};
  std::jmp_buf back = {};
  char message[JMSG_LENGTH_MAX] = {};

  explicit Impl(std::span<const std::byte> bytes) {
    info.err = jpeg_std_error(&errors);
    info.client_data = this;
    errors.error_exit = [](j_common_ptr common) { leave(common); };
    errors.emit_message = [](j_common_ptr common, int level) {
      const bool is_warning = level < 0;
      if (is_warning && !is_harmless(common->err->msg_code)) leave(common);
    };
    errors.output_message = [](j_common_ptr) {};
    progress.progress_monitor = [](j_common_ptr common) {
      if (reinterpret_cast<j_decompress_ptr>(common)->input_scan_number > kMostScans) {
        leave(common, "it has too many scans");
      }
    };
    const auto read_header = [&] {
      jpeg_create_decompress(&info);
      info.progress = &progress;
      info.mem->max_memory_to_use = kMostMemory;
      jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
      jpeg_read_header(&info, TRUE);
    };
    if (!guarded(read_header)) {
      jpeg_destroy_decompress(&info);
      fail();
    }
  }

  ~Impl() { jpeg_destroy_decompress(&info); }

  static Impl& of(j_common_ptr common) { return *static_cast<Impl*>(common->client_data); }

  [[noreturn]] static void leave(j_common_ptr common, const char* why = nullptr) {
    Impl& self = of(common);
    if (why != nullptr) {
      std::snprintf(self.message, sizeof self.message, "%s", why);
    } else {
      self.errors.format_message(common, self.message);
    }
    std::longjmp(self.back, 1);
  }

  // False: libjpeg gave up, `message` says why. See Note [Jumps out of libjpeg].
  template <typename Calls>
  bool guarded(const Calls& calls) {
    if (setjmp(back) != 0) return false;
    calls();
    return true;
  }

  [[noreturn]] void fail() const {
    throw PictureError(cat("is no whole JPEG file: libjpeg says '", message, "'"));
  }
};

#define RN_TEXT_OF(value) #value
#define RN_TEXT(macro) RN_TEXT_OF(macro)
std::string jpeg_library() {
#ifdef LIBJPEG_TURBO_VERSION
  return "libjpeg-turbo " RN_TEXT(LIBJPEG_TURBO_VERSION);
#else
  return "libjpeg, interface " RN_TEXT(JPEG_LIB_VERSION);
#endif
}
#undef RN_TEXT
#undef RN_TEXT_OF

JpegDecoder::JpegDecoder(std::span<const std::byte> bytes) : impl_(std::make_unique<Impl>(bytes)) {}

JpegDecoder::~JpegDecoder() = default;

PictureSize JpegDecoder::size() const {
  return {.width = static_cast<int>(impl_->info.image_width),
          .height = static_cast<int>(impl_->info.image_height)};
}

void JpegDecoder::decode(std::uint8_t* rgb) {
  auto& info = impl_->info;
  if (info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK) {
    throw PictureError("is a JPEG file in CMYK, which is for printing; convert it to RGB");
  }
  info.out_color_space = JCS_RGB;
  const auto read_rows = [&] {
    jpeg_start_decompress(&info);
    while (info.output_scanline < info.output_height) {
      JSAMPROW row = rgb + std::size_t{info.output_scanline} * info.output_width * 3;
      jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
  };
  if (!impl_->guarded(read_rows)) impl_->fail();
}

}  // namespace rn::data
