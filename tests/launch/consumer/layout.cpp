#include <iostream>

#include "core/flat_layout.h"

int main() {
  const rn::FlatLayout layout({{"weight", {10, 3}, {}, 0}, {"bias", {10}, {}, 1}}, 4096);
  std::cout << layout.numel() << " parameters in " << layout.entries().size() << " tensors\n";
}
