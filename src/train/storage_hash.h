// The tensor hash (core/tensor_hash.h) of the entries of a flat storage, on the device where it lies.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "core/flat_layout.h"

namespace rn::train {

// One hash per entry of `layout`, in layout order, over the entry's elements without the padding behind them.
// storage: [layout.size()] float32 or float64, contiguous. Memory of the host is read where it lies; of a
// device only the hashes are copied, since the storage would take longer than the whole check may.
std::vector<std::uint64_t> entry_hashes(const FlatLayout& layout, const torch::Tensor& storage);

// What entry_hashes() does on a device: the same numbers by LibTorch's operators, on any device. Takes about
// three times the storage as temporary memory.
std::vector<std::uint64_t> entry_hashes_by_operators(const FlatLayout& layout, const torch::Tensor& storage);

}  // namespace rn::train
