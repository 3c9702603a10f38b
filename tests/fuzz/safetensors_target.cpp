#include <algorithm>

#include "core/error.h"
#include "io/safetensors.h"
#include "targets.h"

namespace rn::fuzz {
namespace {

class Memory : public io::WritableFile {
 public:
  void append(std::span<const std::byte> more) override {
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
  void share() override {}
  void sync() override {}
  void close() override {}
  std::vector<std::byte> bytes;
};

bool same(const io::TensorView& a, const io::TensorView& b) {
  return a.name == b.name && a.dtype == b.dtype && a.shape == b.shape && std::ranges::equal(a.bytes, b.bytes);
}

}  // namespace

// What is accepted is written and read again without a difference.
void safetensors(Input input) {
  try {
    const auto file = io::parse_safetensors({input.begin(), input.end()}, "x.safetensors");
    Memory copy;
    io::write_safetensors(copy, file.tensors, file.metadata);
    const auto again = io::parse_safetensors(std::move(copy.bytes), "copy.safetensors");
    expect(again.metadata == file.metadata, "the metadata changed");
    expect(again.tensors.size() == file.tensors.size(), "tensors were lost");
    for (const auto& tensor : file.tensors) {
      const auto* found = again.find(tensor.name);
      expect(found != nullptr && same(*found, tensor), "a tensor changed");
    }
  } catch (const DataError&) {
  }
}

}  // namespace rn::fuzz
