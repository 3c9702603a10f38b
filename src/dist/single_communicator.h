// The communicator of one rank: every collective is done at once and moves nothing (all_gather copies).
//
// It keeps `if (world_size > 1)` out of calling code. `wire` has no effect: nothing is transported.
#pragma once

#include "core/communicator.h"

namespace rn::dist {

class SingleCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int world_size() const override { return 1; }
  std::string_view backend() const override { return "single"; }
  bool on_device() const override { return false; }

  std::shared_ptr<Buffer> allocate(std::size_t bytes) override;
  using Communicator::all_reduce;
  Work all_reduce(std::span<std::byte> data, DType dtype, DType wire) override;
  Work broadcast(std::span<std::byte> data, int root) override;
  Work all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override;
  void barrier() override {}
  Communicator& host() override { return *this; }
};

// What every implementation asks of an all_reduce; throws InternalError. REQUIRES: f32, f64, i32 or i64;
// whole elements; wire the same as dtype, or bf16 for f32.
void check_all_reduce(std::size_t bytes, DType dtype, DType wire);

}  // namespace rn::dist
