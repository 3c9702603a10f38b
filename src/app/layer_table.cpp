#include "app/layer_table.h"

#include <vector>

#include "core/error.h"
#include "model/summary.h"

namespace rn::app {
namespace {

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const auto size : shape) text += cat(text.empty() ? "" : "x", size);
  return text;
}

}  // namespace

ModelCost print_layers(model::Network& net, const data::DatasetShape& images, std::ostream& out) {
  ModelCost cost;
  out << format_line("%-34s %14s %12s %14s\n", "layer", "output", "parameters", "MFLOP/image");
  for (const auto& layer : model::summarize(net, images.height, images.width)) {
    out << format_line("%-34s %14s %12lld %14.2f\n", layer.name.c_str(),
                       shape_text(layer.output_shape).c_str(), static_cast<long long>(layer.parameters),
                       static_cast<double>(layer.forward_flops) / 1e6);
    cost.forward_flops += layer.forward_flops;
    cost.parameters += layer.parameters;
    std::int64_t elements = 1;
    for (const auto size : layer.output_shape) elements *= size;
    cost.activations += elements;
  }
  return cost;
}

}  // namespace rn::app
