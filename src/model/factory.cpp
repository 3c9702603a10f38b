#include "model/factory.h"

#include "core/error.h"
#include "model/init.h"
#include "model/resnet.h"
#include "model/resnet9.h"
#include "model/small_cnns.h"

namespace rn::model {
namespace {

constexpr int kSmallCnnSide = 32;     // their first linear layers are made for it
constexpr int kLeastResNet9Side = 8;  // halved three times
constexpr int kMaxWidth = 1024;       // 16 times the paper's: beyond it is a typing error

std::shared_ptr<Network> construct(const ModelOptions& options, int classes, Communicator* communicator) {
  if (options.name == "resnet18") {
    return std::make_shared<ResNetImpl>(options, classes, std::vector<int>{2, 2, 2, 2}, communicator);
  }
  if (options.name == "resnet9") return std::make_shared<ResNet9Impl>(options, classes, communicator);
  if (options.name == "pfl_cnn") return std::make_shared<PflCnnImpl>(options, classes);
  if (options.name == "lenet") return std::make_shared<LeNetImpl>(options, classes);
  throw ConfigError(
      cat("model.name: unknown model '", options.name, "'; known: resnet18, resnet9, pfl_cnn, lenet"));
}

}  // namespace

void require_image_size(const ModelOptions& options, int height, int width) {
  const bool is_small_cnn = options.name == "pfl_cnn" || options.name == "lenet";
  if (is_small_cnn && (height != kSmallCnnSide || width != kSmallCnnSide)) {
    throw ConfigError(cat("model.name: ", options.name, " takes images of ", kSmallCnnSide, " x ",
                          kSmallCnnSide, " and these are ", height, " x ", width,
                          "; data.image_size=", kSmallCnnSide, " scales a folder's"));
  }
  const int least = options.name == "resnet9" ? kLeastResNet9Side : 1;
  if (height < least || width < least) {
    throw ConfigError(cat("model.name: ", options.name, " takes images from ", least, " x ", least,
                          " on, and these are ", height, " x ", width));
  }
}

std::shared_ptr<Network> make_network(const ModelOptions& options, int classes, std::uint64_t seed,
                                      Communicator* communicator) {
  if (options.width < 1 || options.width > kMaxWidth) {
    throw ConfigError(cat("model.width: ", options.width, " is outside 1 to ", kMaxWidth));
  }
  RN_CHECK(classes > 0, "a classifier of ", classes, " classes");
  auto net = construct(options, classes, communicator);
  initialize(*net, seed);
  return net;
}

}  // namespace rn::model
