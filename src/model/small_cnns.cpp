#include "model/small_cnns.h"

#include "core/error.h"

namespace rn::model {
namespace {

constexpr int kImageChannels = 3;

// Their layers are fixed, so an option that would change them is not silently ignored.
void check_options(const ModelOptions& options) {
  const ModelOptions defaults;
  if (options.stem != defaults.stem) throw ConfigError(cat("model.stem: ", options.name, " has none"));
  if (options.width != defaults.width)
    throw ConfigError(cat("model.width: ", options.name, " has a fixed width; leave it out"));
  if (options.zero_init_residual)
    throw ConfigError(cat("model.zero_init_residual: ", options.name, " has no residual blocks"));
}

constexpr auto kPooled = ConvolutionReluImpl::Pooling::kMax2x2;
constexpr auto kRelu = LinearImpl::Activation::kRelu;

}  // namespace

PflCnnImpl::PflCnnImpl(const ModelOptions& options, int classes)
    : conv1_(register_module("1", ConvolutionRelu(options, kImageChannels, 32, 3))),
      conv2_(register_module("3", ConvolutionRelu(options, 32, 64, 3, kPooled))),
      fc1_(register_module("8", Linear(options, 64 * 14 * 14, 128, kRelu))),
      fc2_(register_module("11", Linear(options, 128, classes))) {
  check_options(options);
}

torch::Tensor PflCnnImpl::forward(torch::Tensor images) {
  auto x = conv2_->forward(conv1_->forward(images));
  x = dropout(x.flatten(1), 0.25);
  x = dropout(fc1_->forward(x), 0.5);
  return fc2_->forward(x);
}

LeNetImpl::LeNetImpl(const ModelOptions& options, int classes)
    : conv1_(register_module("conv1", ConvolutionRelu(options, kImageChannels, 6, 5, kPooled))),
      conv2_(register_module("conv2", ConvolutionRelu(options, 6, 16, 5, kPooled))),
      fc1_(register_module("fc1", Linear(options, 16 * 5 * 5, 120, kRelu))),
      fc2_(register_module("fc2", Linear(options, 120, 84, kRelu))),
      fc3_(register_module("fc3", Linear(options, 84, classes))) {
  check_options(options);
}

torch::Tensor LeNetImpl::forward(torch::Tensor images) {
  const auto x = conv2_->forward(conv1_->forward(images));
  return fc3_->forward(fc2_->forward(fc1_->forward(x.flatten(1))));
}

}  // namespace rn::model
