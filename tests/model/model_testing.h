// What the model tests share: golden files, relative norms, communicators that are watched.
#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cstring>
#include <memory>
#include <string>

#include "core/error.h"
#include "dist/single_communicator.h"
#include "io/file_system.h"
#include "io/safetensors.h"

namespace rn::model::testing {

// ||actual - expected|| / ||expected||, in float64; the plain norm of the difference where expected is zero.
inline double relative_error(const torch::Tensor& actual, const torch::Tensor& expected) {
  const auto a = actual.detach().to(torch::kFloat64), e = expected.detach().to(torch::kFloat64);
  EXPECT_EQ(a.sizes(), e.sizes());
  if (a.sizes() != e.sizes()) return INFINITY;
  const double norm = e.norm().item<double>(), difference = (a - e).norm().item<double>();
  return norm > 0 ? difference / norm : difference;
}

inline torch::ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::kU8:
      return torch::kUInt8;
    case DType::kI32:
      return torch::kInt32;
    case DType::kI64:
      return torch::kInt64;
    case DType::kBF16:
      return torch::kBFloat16;
    case DType::kF16:
      return torch::kFloat16;
    case DType::kF32:
      return torch::kFloat32;
    case DType::kF64:
      return torch::kFloat64;
  }
  throw InternalError("unknown dtype");
}

inline torch::Tensor tensor_of(const io::TensorView& view) {
  auto tensor = torch::empty(view.shape, scalar_type(view.dtype));
  if (!view.bytes.empty()) std::memcpy(tensor.data_ptr(), view.bytes.data(), view.bytes.size());
  return tensor;
}

// A file of tools/golden/make_model_golden.py.
class GoldenFile {
 public:
  explicit GoldenFile(const std::string& name)
      : file_(io::read_safetensors(io::posix_file_system(),
                                   cat(RN_TEST_DATA_DIR, "/model/", name, ".safetensors"))) {}

  torch::Tensor operator[](const std::string& name) const {
    const auto* view = file_.find(name);
    if (view == nullptr) throw InternalError(cat("the golden file has no ", name));
    return tensor_of(*view);
  }

  // The tensors whose names start with "`section`/", without that, as a file of their own that points into
  // this one.
  io::SafetensorsFile section(const std::string& section) const {
    io::SafetensorsFile part;
    for (io::TensorView view : file_.tensors) {
      if (!view.name.starts_with(section + "/")) continue;
      view.name.erase(0, section.size() + 1);
      part.tensors.push_back(view);
    }
    return part;
  }

 private:
  io::SafetensorsFile file_;
};

// A SingleCommunicator that remembers what it allocated, can claim to be a device's and can refuse
// collectives.
class WatchedCommunicator final : public Communicator {
 public:
  explicit WatchedCommunicator(bool claims_device = false, bool refuses_collectives = false)
      : claims_device_(claims_device), refuses_(refuses_collectives) {}
  int rank() const override { return 0; }
  int world_size() const override { return 1; }
  std::string_view backend() const override { return "watched"; }
  bool on_device() const override { return claims_device_; }
  std::shared_ptr<Buffer> allocate(std::size_t bytes) override {
    auto buffer = single_.allocate(bytes);
    allocated = buffer;
    return buffer;
  }
  Work all_reduce(std::span<std::byte> data, DType dtype, DType wire) override {
    RN_CHECK(!refuses_);
    return single_.all_reduce(data, dtype, wire);
  }
  Work broadcast(std::span<std::byte> data, int root) override { return single_.broadcast(data, root); }
  Work all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    RN_CHECK(!refuses_);
    return single_.all_gather(mine, all);
  }
  void barrier() override {}
  Communicator& host() override { return single_; }

  std::weak_ptr<Buffer> allocated;  // the last one

 private:
  const bool claims_device_;
  const bool refuses_;
  dist::SingleCommunicator single_;
};

}  // namespace rn::model::testing
