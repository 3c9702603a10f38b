#include <iostream>

#include "model/factory.h"

int main() {
  const auto network = rn::model::make_network({.name = "resnet9", .width = 8}, 10, 0, nullptr);
  std::cout << network->parameters().size() << " parameter tensors\n";
}
