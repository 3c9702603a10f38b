#include "data/augment.h"

#include <cmath>

#include "core/random.h"
#include "data/data_fixtures.h"
#include "data/resident_batch.h"

namespace rn::data {
namespace {

using namespace testing;

// The plain twin: every output pixel looked up by itself, in the order crop, flip, normalise, cutout.
std::vector<float> plain_augment(std::span<const std::uint8_t> pixels, int channels, int height, int width,
                                 const AugmentOptions& options, const Normalization& normalization,
                                 const AugmentDraw* draw) {
  std::vector<float> out;
  const int padding = draw != nullptr ? options.crop_padding : 0;
  const auto mirror = [](int i, int size) { return i < 0 ? -i : i >= size ? 2 * size - 2 - i : i; };
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        int sy = y, sx = draw != nullptr && draw->flip ? width - 1 - x : x;
        if (padding > 0) {
          sy += draw->crop_y - padding;
          sx += draw->crop_x - padding;
        }
        int value = 0;
        if (options.crop_mode == CropMode::kReflect) {
          value = pixels[(c * height + mirror(sy, height)) * width + mirror(sx, width)];
        } else if (sy >= 0 && sy < height && sx >= 0 && sx < width) {
          value = pixels[(c * height + sy) * width + sx];
        }
        float normal = (static_cast<float>(value) / 255.0f - normalization.mean[c]) / normalization.std[c];
        if (draw != nullptr && options.cutout > 0) {
          const int top = draw->cutout_y - options.cutout / 2, left = draw->cutout_x - options.cutout / 2;
          if (y >= top && y < top + options.cutout && x >= left && x < left + options.cutout) normal = 0.0f;
        }
        out.push_back(normal);
      }
    }
  }
  return out;
}

TEST(AugmenterTest, EqualsThePlainTwinExactly) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    CounterRandom random(seed, Purpose::kSynthetic, 1, 1);
    const int channels = 1 + static_cast<int>(random.below(3));
    const int height = 2 + static_cast<int>(random.below(40)), width = 2 + static_cast<int>(random.below(40));
    AugmentOptions options;
    options.crop_mode = random.below(2) != 0 ? CropMode::kReflect : CropMode::kZero;
    const int side = std::min(height, width);
    options.crop_padding = static_cast<int>(
        random.below(static_cast<std::uint32_t>(side + (options.crop_mode == CropMode::kZero))));
    options.flip = static_cast<Flip>(random.below(3));
    options.cutout = static_cast<int>(random.below(3)) * static_cast<int>(random.below(20));
    const char* presets[] = {"cifar10", "imagenet", "half", "none"};
    options.normalize = presets[random.below(4)];
    const auto normalization = normalization_preset(options.normalize);
    const ImageSet images = random_images(1, seed, channels, height, width);
    const Augmenter augmenter(options, channels, height, width);
    std::vector<float> out(images.pixels.size());
    for (std::int64_t sample = 0; sample < 6; ++sample) {
      const AugmentDraw draw = draw_augment(options, height, width, seed, 3, sample);
      const AugmentDraw* used = sample == 5 ? nullptr : &draw;
      augmenter.apply(images.image(0), used, out);
      ASSERT_EQ(out, plain_augment(images.image(0), channels, height, width, options, normalization, used));
    }
  }
}

// What a GPU runs per pixel, run here: a batch of several images, each with its own draw.
TEST(ResidentBatchTest, HoldsTheBitsOfTheAugmenterForEveryCropFlipAndCutout) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    CounterRandom random(seed, Purpose::kSynthetic, 1, 2);
    const int channels = 1 + static_cast<int>(random.below(3));
    const int height = 2 + static_cast<int>(random.below(40)), width = 2 + static_cast<int>(random.below(40));
    AugmentOptions options;
    options.crop_mode = seed % 2 != 0 ? CropMode::kReflect : CropMode::kZero;
    options.flip = static_cast<Flip>(seed / 2 % 3);
    options.crop_padding = static_cast<int>(random.below(
        static_cast<std::uint32_t>(std::min(height, width) + (options.crop_mode == CropMode::kZero))));
    options.cutout = static_cast<int>(random.below(3)) * static_cast<int>(random.below(20));
    constexpr std::int64_t kSamples = 5;
    const ImageSet images = random_images(kSamples, seed, channels, height, width);
    const std::vector<std::int64_t> indices = {4, 0, 0, 2, 1, 3};
    std::vector<AugmentDraw> draws;
    for (const auto index : indices) {
      draws.push_back(
          draw_augment(options, height, width, seed, static_cast<std::int64_t>(draws.size()), index));
    }
    const Augmenter augmenter(options, channels, height, width);
    const std::size_t values = images.image(0).size();
    std::vector<float> out(indices.size() * values, -1.0f), expected(values);
    for (const bool augments : {true, false}) {
      make_batch_on_host({augmenter.geometry(), images.pixels.data(), augmenter.table().data(),
                          indices.data(), augments ? draws.data() : nullptr,
                          static_cast<std::int64_t>(indices.size()), out.data()});
      for (std::size_t i = 0; i < indices.size(); ++i) {
        augmenter.apply(images.image(indices[i]), augments ? &draws[i] : nullptr, expected);
        ASSERT_EQ(std::vector<float>(out.begin() + static_cast<std::ptrdiff_t>(i * values),
                                     out.begin() + static_cast<std::ptrdiff_t>((i + 1) * values)),
                  expected)
            << "image " << i;
      }
    }
  }
}

TEST(AugmenterTest, CutsToTheCornersOfThePaddedImage) {
  // 1 x 2 x 2 image 10 20 / 30 40, padded by 1 with reflection: the corner crop (0, 0) is 40 30 / 20 10.
  const std::vector<std::uint8_t> pixels = {10, 20, 30, 40};
  AugmentOptions options{.crop_padding = 1, .normalize = "none"};
  std::vector<float> out(4);
  const AugmentDraw corner{};
  Augmenter(options, 1, 2, 2).apply(pixels, &corner, out);
  EXPECT_EQ(out, (std::vector{40 / 255.0f, 30 / 255.0f, 20 / 255.0f, 10 / 255.0f}));
  options.crop_mode = CropMode::kZero;
  Augmenter(options, 1, 2, 2).apply(pixels, &corner, out);
  EXPECT_EQ(out, (std::vector{0.0f, 0.0f, 0.0f, 10 / 255.0f}));
}

TEST(AugmenterTest, WritesChannelsLastAndNormalisesAsTorchvision) {
  std::vector<std::uint8_t> pixels(3 * 2 * 1);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(40 * i);
  std::vector<float> out(6);
  Augmenter({.crop_padding = 0}, 3, 2, 1).apply(pixels, nullptr, out);
  const float expected[] = {(0 / 255.0f - 0.4914f) / 0.2470f,   (80 / 255.0f - 0.4822f) / 0.2435f,
                            (160 / 255.0f - 0.4465f) / 0.2616f, (40 / 255.0f - 0.4914f) / 0.2470f,
                            (120 / 255.0f - 0.4822f) / 0.2435f, (200 / 255.0f - 0.4465f) / 0.2616f};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(out[i], expected[i]) << i;
}

TEST(AugmenterTest, RefusesOptionsThatDoNotFit) {
  const auto make = [](const AugmentOptions& options) { Augmenter(options, 3, 8, 6); };
  expect_error<ConfigError>([&] { make({.crop_padding = 6}); }, {"augment.crop_padding", "0 to 5", "8 x 6"});
  expect_error<ConfigError>([&] { make({.crop_padding = 7, .crop_mode = CropMode::kZero}); }, {"0 to 6"});
  expect_error<ConfigError>([&] { make({.crop_padding = -1}); }, {"augment.crop_padding"});
  expect_error<ConfigError>([&] { make({.cutout = -1}); }, {"augment.cutout"});
  expect_error<ConfigError>([&] { make({.normalize = "cifar"}); },
                            {"augment.normalize", "'cifar'", "imagenet"});
}

TEST(AugmenterTest, RefusesADrawOutsideThePaddedImage) {
  const Augmenter augmenter({.crop_padding = 2}, 3, 8, 8);
  std::vector<std::uint8_t> pixels(3 * 64);
  std::vector<float> out(3 * 64);
  const AugmentDraw draw{.crop_x = 5};
  EXPECT_THROW(augmenter.apply(pixels, &draw, out), InternalError);
  out.pop_back();
  EXPECT_THROW(augmenter.apply(pixels, nullptr, out), InternalError);
}

TEST(DrawAugmentTest, IsAFunctionOfItsKey) {
  const AugmentOptions options{.cutout = 8};
  EXPECT_EQ(draw_augment(options, 32, 32, 1, 2, 3), draw_augment(options, 32, 32, 1, 2, 3));
  int same = 0;
  for (std::int64_t i = 0; i < 100; ++i) {
    const auto draw = draw_augment(options, 32, 32, 1, 2, i);
    same += draw == draw_augment(options, 32, 32, 2, 2, i);
    same += draw == draw_augment(options, 32, 32, 1, 3, i);
    same += draw == draw_augment(options, 32, 32, 1, 2, i + 1);
  }
  EXPECT_LT(same, 3);
}

TEST(DrawAugmentTest, EveryPlaceIsEquallyLikely) {
  const AugmentOptions options{.crop_padding = 2, .cutout = 4};
  std::vector<int> crops(25), centres(6);
  int flips = 0;
  constexpr int kDraws = 20'000;
  for (int i = 0; i < kDraws; ++i) {
    const auto draw = draw_augment(options, 2, 3, 11, 0, i);
    ++crops.at(static_cast<std::size_t>(draw.crop_y * 5 + draw.crop_x));
    ++centres.at(static_cast<std::size_t>(draw.cutout_y * 3 + draw.cutout_x));
    flips += draw.flip;
  }
  for (const int count : crops) EXPECT_NEAR(count, kDraws / 25, 5 * std::sqrt(kDraws / 25.0));
  for (const int count : centres) EXPECT_NEAR(count, kDraws / 6, 5 * std::sqrt(kDraws / 6.0));
  EXPECT_NEAR(flips, kDraws / 2, 5 * std::sqrt(kDraws / 4.0));
}

TEST(DrawAugmentTest, AlternatingFlipShowsBothSidesInTwoEpochs) {
  const AugmentOptions options{.flip = Flip::kAlternating};
  int first_half = 0;
  for (std::int64_t sample = 0; sample < 1000; ++sample) {
    const bool even = draw_augment(options, 32, 32, 5, 0, sample).flip;
    first_half += even;
    for (std::int64_t epoch = 1; epoch < 6; ++epoch) {
      EXPECT_EQ(draw_augment(options, 32, 32, 5, epoch, sample).flip, even != (epoch % 2 == 1));
    }
  }
  EXPECT_NEAR(first_half, 500, 80);
}

TEST(DrawAugmentTest, WhatIsSwitchedOffIsNotDrawn) {
  const AugmentOptions options{.crop_padding = 0, .flip = Flip::kNone};
  for (std::int64_t i = 0; i < 50; ++i) EXPECT_EQ(draw_augment(options, 32, 32, 5, 0, i), AugmentDraw());
}

}  // namespace
}  // namespace rn::data
