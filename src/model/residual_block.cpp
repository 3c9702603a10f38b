#include "model/residual_block.h"

#include <optional>

namespace rn::model {
namespace {

// Note [Narrow strided convolutions]. oneDNN, as in LibTorch 2.15, writes past its buffers in a float32 1x1
// convolution with stride over fewer than 16 channels, on more than one thread and for some batch sizes (3
// and 5 at 8 channels): plain PyTorch dies of it, too. Such a convolution is the same as one without stride
// over every stride-th pixel.
constexpr std::int64_t kNarrow = 16;

torch::Tensor every_nth_pixel(const torch::Tensor& input, std::int64_t n) {
  if (n == 1) return input;  // a slice would cost a copy in the backward pass
  return input.slice(2, 0, std::nullopt, n).slice(3, 0, std::nullopt, n);
}

}  // namespace

ResidualBlockImpl::ResidualBlockImpl(std::int64_t in_channels, std::int64_t out_channels, std::int64_t stride,
                                     const ModelOptions& options, Communicator* communicator)
    : conv1_(register_module("conv1", Convolution(options, in_channels, out_channels, 3, stride))),
      shortcut_step_(in_channels < kNarrow ? stride : 1) {
  bn1_ = register_module("bn1", NormLayer(options, out_channels, communicator));
  conv2_ = register_module("conv2", Convolution(options, out_channels, out_channels, 3, 1));
  bn2_ = register_module("bn2", NormLayer(options, out_channels, communicator));
  if (options.zero_init_residual) torch::nn::init::zeros_(bn2_->weight);
  if (stride != 1 || in_channels != out_channels) {
    downsample_ = register_module(
        "downsample",
        torch::nn::Sequential(Convolution(options, in_channels, out_channels, 1, stride / shortcut_step_),
                              NormLayer(options, out_channels, communicator)));
  }
}

torch::Tensor ResidualBlockImpl::forward(const torch::Tensor& input) {
  const auto output = bn1_->forward_with(conv1_->forward(input), {.relu = true, .residual = {}});
  const auto shortcut =
      downsample_.is_empty() ? input : downsample_->forward(every_nth_pixel(input, shortcut_step_));
  return bn2_->forward_with(conv2_->forward(output), {.relu = true, .residual = shortcut});
}

}  // namespace rn::model
