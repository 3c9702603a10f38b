// The C++ side of tools/golden/check_interop.py: reads weights and images, writes logits and the weights
// again.
//
//   model_interop STEM CLASSES WEIGHTS.safetensors IMAGES.safetensors OUT_FOLDER
//
// IMAGES holds `images` [N, 3, H, W] float32. Writes OUT_FOLDER/logits.safetensors (`logits`) and
// OUT_FOLDER/model.safetensors.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "dist/single_communicator.h"
#include "model/factory.h"
#include "model/flat_parameters.h"
#include "model/safetensors_weights.h"
#include "model_testing.h"

namespace rn::model {
namespace {

void write(const std::string& path, const std::vector<NamedTensor>& tensors) {
  auto file = io::posix_file_system().create(path);
  io::write_safetensors(*file, tensor_views(tensors), {{"format", "pt"}});
  file->close();
}

void run(const std::vector<std::string>& arguments) {
  ModelOptions options;
  options.stem = arguments[0];
  dist::SingleCommunicator single;
  const auto net = make_network(options, std::stoi(arguments[1]), /*seed=*/1, &single);
  FlatParameters params(*net, single, 1 << 21);
  const auto weights = io::read_safetensors(io::posix_file_system(), arguments[2]);
  std::puts(load_weights(params, weights, arguments[2], LoadMode::kStrict).describe().c_str());
  const auto images = io::read_safetensors(io::posix_file_system(), arguments[3]);
  net->eval();
  const torch::NoGradGuard no_grad;
  const auto logits = net->forward(testing::tensor_of(*images.find("images")));
  write(arguments[4] + "/logits.safetensors", {{"logits", logits.contiguous()}});
  write(arguments[4] + "/model.safetensors", collect_weights(params, params.weights, params.statistics, 3));
}

}  // namespace
}  // namespace rn::model

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: model_interop STEM CLASSES WEIGHTS IMAGES OUT_FOLDER\n");
    return 2;
  }
  try {
    rn::model::run({argv + 1, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
