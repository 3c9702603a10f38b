// What the files float_*_avx512.cpp share: masks for what is no whole vector, and images with zeros around
// them.
//
// Only these files are compiled for AVX-512, hence the unnamed namespace: the linker shall not hand this code
// to others.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "kernels/convolution_shape.h"

namespace rn::kernels {
namespace {

constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kFrameBytes = 1 << 19;  // of images in their frames: a part of the second-level cache

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

inline __mmask16 first_lanes(std::int64_t count) {
  return static_cast<__mmask16>(count >= kLanes ? 0xffff : (1U << count) - 1);
}

struct AlignedFree {
  void operator()(float* data) const { std::free(data); }
};

using Buffer = std::unique_ptr<float[], AlignedFree>;

inline Buffer zeroed_buffer(std::int64_t values) {
  const auto bytes = static_cast<std::size_t>(ceil_div(values, kLanes) * kLanes) * sizeof(float);
  void* const data = std::aligned_alloc(64, bytes);
  if (data == nullptr) throw std::bad_alloc();
  std::memset(data, 0, bytes);
  return Buffer(static_cast<float*>(data));
}

// Some images with zeros around them; without padding, the images themselves.
class Frames {
 public:
  Frames(const ConvolutionShape& shape, const float* x)
      : s_(shape),
        x_(x),
        height_(s_.height + 2 * s_.padding),
        width_(s_.width + 2 * s_.padding),
        capacity_(
            std::clamp<std::int64_t>(kFrameBytes / image_bytes(), 1, std::max<std::int64_t>(1, s_.images))) {
    if (s_.padding > 0) frames_ = zeroed_buffer(capacity_ * image_step());
  }

  std::int64_t capacity() const { return capacity_; }
  std::int64_t row_step() const { return width_ * s_.in_channels; }
  std::int64_t image_step() const { return height_ * row_step(); }

  // The images [first, first + count), image_step() apart; valid until the next call. REQUIRES: count <=
  // capacity().
  const float* place(std::int64_t first, std::int64_t count) {
    const std::int64_t row = s_.width * s_.in_channels;
    const float* from = x_ + first * s_.height * row;
    if (!frames_) return from;
    for (std::int64_t n = 0; n < count; ++n) {
      float* to = frames_.get() + n * image_step() + s_.padding * (row_step() + s_.in_channels);
      for (std::int64_t h = 0; h < s_.height; ++h, from += row, to += row_step()) {
        std::memcpy(to, from, static_cast<std::size_t>(row) * sizeof(float));
      }
    }
    return frames_.get();
  }

 private:
  std::int64_t image_bytes() const {
    return height_ * width_ * s_.in_channels * static_cast<std::int64_t>(sizeof(float));
  }

  const ConvolutionShape s_;
  const float* const x_;
  const std::int64_t height_, width_, capacity_;
  Buffer frames_;
};

}  // namespace
}  // namespace rn::kernels
