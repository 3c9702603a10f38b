// Lossy compression of updates on their way to the server, simulated in place: what is left in the update is
// what the server decodes, and the bytes of the encoding are counted.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/flat_layout.h"

namespace rn::federated {

enum class Compression {
  kNone,  // 4 bytes per element
  kTopK,  // the share of largest magnitude, over the whole update: 4 bytes index and 4 bytes value each
  kInt8,  // round to nearest of 255 levels; per tensor a scale of 4 bytes (largest magnitude / 127)
  kSign,  // one bit per element; per tensor a scale of 4 bytes (mean magnitude; Karimireddy et al. 2019)
};

// Throws ConfigError for an unknown name (none | top_k | int8 | sign).
Compression compression_named(std::string_view name);

// Immutable, so safe to use from any thread.
class UpdateCompressor {
 public:
  // `tensors`: the slices of the update that hold elements, ascending and disjoint; what lies between them is
  // padding, stays as it is and costs nothing. `top_k`: share kept, in (0, 1].
  UpdateCompressor(Compression kind, std::vector<Slice> tensors, double top_k);

  // Replaces `update` by what the server decodes. With error feedback `residual`, of the same size, is what
  // this client's earlier encodings left out: it is added first and then holds what this one leaves out
  // (Seide et al. 2014). Empty: no error feedback. REQUIRES: finite values.
  void compress(std::span<float> update, std::span<float> residual) const;

  std::int64_t bytes() const;  // of an encoded update: the same for every client

 private:
  Compression kind_;
  std::vector<Slice> tensors_;
  std::int64_t elements_ = 0;
  std::int64_t kept_ = 0;  // top_k
};

// The slices of all entries of a layout, ascending.
std::vector<Slice> tensor_slices(const FlatLayout& layout);

}  // namespace rn::federated
