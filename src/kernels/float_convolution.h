// Convolution in float32 with AVX-512, and its gradients, for any channels, kernel and number of images.
//
//   y[n][h][w][o] = bias[o] + sum over taps (kh, kw) and channels i of x[n][h'][w'][i] * weight[o][kh][kw][i]
//
// with h' = h * stride + kh - padding, likewise w', x zero outside of the image; activations and weights
// channels-last and dense. The gradient by the input at stride 1 is a convolution too.
//
// Note [Sums in registers]. Both kernels keep a block of sums in 16 to 28 vector registers, and each step of
// the inner loop multiplies a few vectors by some scalars, broadcast while they are loaded, so that
// multiply-adds and not loads are the limit. The convolution holds some neighbouring pixels of a row x 32
// output channels, and steps through the taps of a kernel row, which with their channels lie side by side.
// The weight's gradient holds 8 output channels x 48 such taps and channels, and steps through pixels. Where
// there is padding, images are copied into a zeroed frame first.
//
// Note [Pairs of pixels]. Eight output channels or fewer would leave half of a vector empty. At stride 1 a
// vector then holds two neighbouring pixels, eight lanes each, whose weights are the kernel and the kernel
// moved by one column: a kernel one column wider, for half as many vectors. The zeros that fill it change no
// sum of finite values.
//
// Bias, relu and 2x2 max-pooling are done while the sums are at hand. Pooling goes before the relu, on a
// quarter of the values: relu(max(a, b)) = max(relu(a), relu(b)), and no gradient passes a relu that cuts.
//
// 3x3 kernels with whole vectors of channels and even outputs go by float_winograd.h instead.
//
// Every sum is taken in one order, however the work is cut among threads.
#pragma once

#include <cstdint>

#include "kernels/convolution_shape.h"

namespace rn::kernels {

// Whether the functions below compute this shape, given avx512_available().
bool float_convolution_supports(const ConvolutionShape& shape);

// Whether they are the fast way: by Winograd's filtering, or of few pixels and many channels. Other shapes
// LibTorch's operators compute as fast. Not about activations, which always pay.
bool float_convolution_pays(const ConvolutionShape& shape);

// The convolution that computes dx from dy, with the packed weight of the same name. REQUIRES: stride 1.
ConvolutionShape input_gradient_shape(const ConvolutionShape& shape);

// Whether a vector holds two pixels: Note [Pairs of pixels].
bool float_convolution_pairs_pixels(const ConvolutionShape& shape);

// Values that a packed weight holds: output channels are rounded up to whole vectors.
std::int64_t packed_float_weight_size(const ConvolutionShape& shape);

// Lays out weight [out_channels][kernel][kernel][in_channels] for float_convolution(shape), or for
// float_convolution(input_gradient_shape(shape)). `packed`: 64-byte aligned, packed_float_weight_size() of
// the convolution that will use it.
void pack_float_weight(const ConvolutionShape& shape, const float* weight, float* packed);
void pack_float_weight_for_input_gradient(const ConvolutionShape& shape, const float* weight, float* packed);

// What becomes of the sums.
enum class FloatActivation {
  kNone,     // y: as they are
  kRelu,     // y = max(sum, 0)
  kMaxPool,  // y = max(0, the largest of 2x2 sums): [images][out_height / 2][out_width / 2][out_channels]
};

// Of a pooled value: which of the four it is, 2 * row + column, or this where it was below zero.
inline constexpr std::uint8_t kCutByRelu = 4;

// Writes images [begin, end) of y, [images][out_height][out_width][out_channels] but for kMaxPool, on the
// calling thread. `bias`: one value per output channel, or null. `taken`: kMaxPool: where each value comes
// from, or null.
void float_convolution(const ConvolutionShape& shape, const float* x, const float* packed_weight,
                       const float* bias, FloatActivation activation, std::int64_t begin, std::int64_t end,
                       float* y, std::uint8_t* taken);

// The gradient of images [begin, end) by their sums, and the sum of each image's over its pixels
// `bias_gradients` [images][out_channels], from dy, the gradient by y. kRelu: `y`, what was computed;
// kMaxPool: `taken`. The other may be null. REQUIRES: not kNone.
void float_activation_gradient(const ConvolutionShape& shape, FloatActivation activation, const float* dy,
                               const float* y, const std::uint8_t* taken, std::int64_t begin,
                               std::int64_t end, float* dsums, float* bias_gradients);

// What parts of a weight's output channels begin with a multiple of.
inline constexpr std::int64_t kOutputsTogether = 16;

// Writes output channels [begin, end) of dw [out_channels][kernel][kernel][in_channels] on the calling
// thread, from x and dy [images][out_height][out_width][out_channels]. `images` may be 0.
void float_weight_gradient(const ConvolutionShape& shape, const float* x, const float* dy, std::int64_t begin,
                           std::int64_t end, float* dw);

}  // namespace rn::kernels
