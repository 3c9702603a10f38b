// What `--dry-run` says of a model: its layers and their cost.
#pragma once

#include <cstdint>
#include <cstdio>
#include <ostream>
#include <string>

#include "data/dataset.h"
#include "model/factory.h"

namespace rn::app {

struct ModelCost {
  std::int64_t parameters = 0;
  std::int64_t forward_flops = 0;  // of one image
  std::int64_t activations = 0;    // elements of all layers' outputs, of one image

  // Forward and backward; the gradients of input and of weights cost as much as a forward pass each.
  double training_flops() const { return 3.0 * static_cast<double>(forward_flops); }
};

// Prints a line per layer and returns the sums.
ModelCost print_layers(model::Network& net, const data::DatasetShape& images, std::ostream& out);

// printf's formats, for lines of at most 255 characters.
template <typename... Values>
std::string format_line(const char* format, Values... values) {
  char buffer[256];
  std::snprintf(buffer, sizeof buffer, format, values...);
  return buffer;
}

}  // namespace rn::app
