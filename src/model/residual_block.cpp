#include "model/residual_block.h"

#include "model/convolution.h"

namespace rn::model {

ResidualBlockImpl::ResidualBlockImpl(std::int64_t in_channels, std::int64_t out_channels, std::int64_t stride,
                                     const ModelOptions& options, Communicator* communicator)
    : conv1_(register_module("conv1", make_convolution(in_channels, out_channels, 3, stride))) {
  bn1_ = register_module("bn1", NormLayer(options, out_channels, communicator));
  conv2_ = register_module("conv2", make_convolution(out_channels, out_channels, 3, 1));
  bn2_ = register_module("bn2", NormLayer(options, out_channels, communicator));
  if (options.zero_init_residual) torch::nn::init::zeros_(bn2_->weight);
  if (stride != 1 || in_channels != out_channels) {
    downsample_ = register_module(
        "downsample", torch::nn::Sequential(make_convolution(in_channels, out_channels, 1, stride),
                                            NormLayer(options, out_channels, communicator)));
  }
}

torch::Tensor ResidualBlockImpl::forward(const torch::Tensor& input) {
  auto output = bn1_->forward(conv1_->forward(input)).relu_();
  output = bn2_->forward(conv2_->forward(output));
  const auto shortcut = downsample_.is_empty() ? input : downsample_->forward(input);
  return output.add_(shortcut).relu_();
}

}  // namespace rn::model
