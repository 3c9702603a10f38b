#include "data/augment.h"

#include <algorithm>

#include "core/error.h"
#include "core/random.h"

namespace rn::data {
namespace {

bool draw_flip(const AugmentOptions& options, std::uint64_t seed, std::int64_t epoch, std::uint64_t sample) {
  switch (options.flip) {
    case Flip::kNone:
      return false;
    case Flip::kRandom:
      return CounterRandom(seed, Purpose::kFlip, static_cast<std::uint64_t>(epoch), sample).below(2) != 0;
    case Flip::kAlternating:
      return (CounterRandom(seed, Purpose::kFlip, 0, sample).below(2) != 0) != (epoch % 2 != 0);
  }
  return false;
}

}  // namespace

AugmentDraw draw_augment(const AugmentOptions& options, int height, int width, std::uint64_t seed,
                         std::int64_t epoch, std::int64_t sample) {
  const auto epoch_key = static_cast<std::uint64_t>(epoch);
  const auto sample_key = static_cast<std::uint64_t>(sample);
  AugmentDraw draw;
  if (options.crop_padding > 0) {
    CounterRandom random(seed, Purpose::kCrop, epoch_key, sample_key);
    const auto places = static_cast<std::uint32_t>(2 * options.crop_padding + 1);
    draw.crop_y = static_cast<std::int16_t>(random.below(places));
    draw.crop_x = static_cast<std::int16_t>(random.below(places));
  }
  if (options.cutout > 0) {
    CounterRandom random(seed, Purpose::kCutout, epoch_key, sample_key);
    draw.cutout_y = static_cast<std::int16_t>(random.below(static_cast<std::uint32_t>(height)));
    draw.cutout_x = static_cast<std::int16_t>(random.below(static_cast<std::uint32_t>(width)));
  }
  draw.flip = draw_flip(options, seed, epoch, sample_key);
  return draw;
}

Normalization normalization_preset(const std::string& name) {
  if (name == "cifar10") return {.mean = {0.4914f, 0.4822f, 0.4465f}, .std = {0.2470f, 0.2435f, 0.2616f}};
  if (name == "imagenet") return {.mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}};
  if (name == "half") return {.mean = {0.5f, 0.5f, 0.5f}, .std = {0.5f, 0.5f, 0.5f}};
  if (name == "none") return {.mean = {0.0f, 0.0f, 0.0f}, .std = {1.0f, 1.0f, 1.0f}};
  throw ConfigError(
      cat("augment.normalize: '", name, "' is unknown; allowed: cifar10, imagenet, half, none"));
}

Augmenter::Augmenter(const AugmentOptions& options, int channels, int height, int width)
    : Augmenter(options, normalization_preset(options.normalize), channels, height, width) {}

Augmenter::Augmenter(const AugmentOptions& options, const Normalization& normalization, int channels,
                     int height, int width)
    : options_(options), channels_(channels), height_(height), width_(width) {
  RN_CHECK(channels >= 1 && channels <= 3 && height >= 1 && width >= 1 && height <= kMaxImageSide &&
               width <= kMaxImageSide,
           "image shape ", channels, " x ", height, " x ", width);
  // Zero padding of a whole side already shows crops without the image; more has no use and would overflow
  // the draws.
  const int side = std::min(height, width);
  const int largest = options.crop_mode == CropMode::kReflect ? side - 1 : side;
  if (options.crop_padding < 0 || options.crop_padding > largest) {
    throw ConfigError(cat("augment.crop_padding: ", options.crop_padding, " is not in 0 to ", largest,
                          " for images of ", height, " x ", width));
  }
  if (options.cutout < 0) throw ConfigError(cat("augment.cutout: ", options.cutout, " is negative"));
  for (int c = 0; c < channels; ++c) {
    for (int v = 0; v < kPixelValues; ++v) {
      // The same float32 operations as torchvision's ToTensor and Normalize, so values agree to the bit.
      table_[static_cast<std::size_t>(c * kPixelValues + v)] =
          (static_cast<float>(v) / 255.0f - normalization.mean[c]) / normalization.std[c];
    }
  }
}

AugmentGeometry Augmenter::geometry() const {
  return {.channels = channels_,
          .height = height_,
          .width = width_,
          .crop_padding = options_.crop_padding,
          .cutout = options_.cutout,
          .reflects = options_.crop_mode == CropMode::kReflect};
}

std::span<const float> Augmenter::table() const {
  return std::span(table_).first(static_cast<std::size_t>(channels_) * kPixelValues);
}

void Augmenter::apply(std::span<const std::uint8_t> pixels, const AugmentDraw* draw,
                      std::span<float> out) const {
  const auto size = static_cast<std::size_t>(channels_) * height_ * width_;
  RN_CHECK(pixels.size() == size && out.size() == size, "image of ", pixels.size(), " bytes for ", out.size(),
           " values");
  const AugmentDraw none;
  const int padding = draw != nullptr ? options_.crop_padding : 0;
  const AugmentDraw& used = draw != nullptr ? *draw : none;
  RN_CHECK(padding == 0 || (used.crop_y >= 0 && used.crop_y <= 2 * padding && used.crop_x >= 0 &&
                            used.crop_x <= 2 * padding),
           "crop at ", used.crop_y, ", ", used.crop_x, " with padding ", padding);
  switch (channels_) {
    case 1:
      apply_channels<1>(pixels.data(), used, padding, out.data());
      break;
    case 2:
      apply_channels<2>(pixels.data(), used, padding, out.data());
      break;
    default:
      apply_channels<3>(pixels.data(), used, padding, out.data());
      break;
  }
  if (draw != nullptr && options_.cutout > 0) blank(*draw, out.data());
}

// The hot loop: per row, one gather through a column map and a 256-entry table. Without padding the crop is
// ignored.
template <int kChannels>
void Augmenter::apply_channels(const std::uint8_t* pixels, const AugmentDraw& draw, int padding,
                               float* out) const {
  const int shift_y = padding > 0 ? draw.crop_y - padding : 0;
  const int shift_x = padding > 0 ? draw.crop_x - padding : 0;
  const bool reflects = options_.crop_mode == CropMode::kReflect;

  // Output column -> source column, for [begin, end); columns outside are zero padding.
  std::array<std::int16_t, kMaxImageSide> columns;
  int begin = width_, end = 0;
  for (int x = 0; x < width_; ++x) {
    const int source = source_coordinate(draw.flip ? width_ - 1 - x : x, shift_x, width_, reflects);
    if (source == kPadding) continue;
    columns[static_cast<std::size_t>(x)] = static_cast<std::int16_t>(source);
    begin = std::min(begin, x);
    end = x + 1;
  }

  const float* table = table_.data();
  const auto fill_black = [&](float* row, int from, int to) {
    for (int x = from; x < to; ++x) {
      for (int c = 0; c < kChannels; ++c) row[x * kChannels + c] = table[c * kPixelValues];
    }
  };
  const int plane = height_ * width_;
  for (int y = 0; y < height_; ++y) {
    float* row = out + static_cast<std::ptrdiff_t>(y) * width_ * kChannels;
    const int source = source_coordinate(y, shift_y, height_, reflects);
    if (source == kPadding) {
      fill_black(row, 0, width_);
      continue;
    }
    fill_black(row, 0, begin);
    const std::uint8_t* input = pixels + source * width_;
    for (int x = begin; x < end; ++x) {
      const int column = columns[static_cast<std::size_t>(x)];
      for (int c = 0; c < kChannels; ++c)
        row[x * kChannels + c] = table[c * kPixelValues + input[c * plane + column]];
    }
    fill_black(row, std::max(begin, end), width_);
  }
}

void Augmenter::blank(const AugmentDraw& draw, float* out) const {
  const int top = draw.cutout_y - options_.cutout / 2;
  const int left = draw.cutout_x - options_.cutout / 2;
  const int x0 = std::clamp(left, 0, width_), x1 = std::clamp(left + options_.cutout, 0, width_);
  const int y0 = std::clamp(top, 0, height_), y1 = std::clamp(top + options_.cutout, 0, height_);
  for (int y = y0; y < y1; ++y) {
    float* row = out + static_cast<std::ptrdiff_t>(y) * width_ * channels_;
    std::fill(row + x0 * channels_, row + x1 * channels_, 0.0f);
  }
}

void apply_augment(std::span<const std::uint8_t> pixels, int channels, int height, int width,
                   const AugmentOptions& options, const Normalization& normalization, const AugmentDraw* draw,
                   std::span<float> out) {
  Augmenter(options, normalization, channels, height, width).apply(pixels, draw, out);
}

}  // namespace rn::data
