// What the GPU tests share: one GPU per rank, or a skip that nobody can miss.
//
// RN_REQUIRE_GPU=N: this machine has N GPUs, so tests with up to N ranks fail instead of being skipped.
// RN_SHARE_GPU=1: several ranks may compute on one GPU, which NCCL allows with NCCL_MULTI_RANK_GPU_ENABLE=1.
#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "core/error.h"
#include "dist/cuda_device.h"
#include "dist/mpi_communicator.h"
#include "dist/nccl_communicator.h"
#include "model/device_stream.h"

namespace rn::testing {

// The communicators of the process: their construction is collective, and they end before MPI_Finalize.
class Communicators : public ::testing::Environment {
 public:
  static Communicators& get() {
    static Communicators* const instance = new Communicators;  // owned by gtest
    return *instance;
  }
  dist::MpiCommunicator& host() { return *host_; }
  dist::DeviceCommunicator& gpu() {
    if (!gpu_) {
      constexpr double kDeadlineSeconds = 120;
      dist::use_cuda_device(device().index());
      gpu_ = dist::make_nccl_communicator(*host_, device().index(), kDeadlineSeconds);
      gpu_->set_compute_stream(model::current_stream(device()));
    }
    return *gpu_;
  }
  torch::Device device() const {
    const int index = host_->local_rank() % std::max(1, dist::cuda_device_count());
    return {torch::kCUDA, static_cast<c10::DeviceIndex>(index)};
  }
  void TearDown() override {
    gpu_.reset();
    host_.reset();
  }

 private:
  Communicators() : host_(std::make_unique<dist::MpiCommunicator>()) {
    ::testing::AddGlobalTestEnvironment(this);
  }

  std::unique_ptr<dist::MpiCommunicator> host_;
  std::unique_ptr<dist::DeviceCommunicator> gpu_;
};

class GpuTest : public ::testing::Test {
 protected:
  // All ranks decide alike: they lie on one node.
  void SetUp() override {
    const int ranks = Communicators::get().host().local_size();
    const int gpus = dist::cuda_device_count();
    const bool shared = std::getenv("RN_SHARE_GPU") != nullptr;
    if (gpus >= (shared ? 1 : ranks)) return;
    const auto missing = cat(ranks, " rank(s) need a GPU each, this process sees ", gpus);
    const char* required = std::getenv("RN_REQUIRE_GPU");
    if (required != nullptr && std::atoi(required) >= ranks) {
      FAIL() << missing << ", and RN_REQUIRE_GPU is " << required;
    }
    GTEST_SKIP() << missing;
  }

  static Communicator& host() { return Communicators::get().host(); }
  static dist::DeviceCommunicator& gpu() { return Communicators::get().gpu(); }
  static torch::Device device() { return Communicators::get().device(); }
};

}  // namespace rn::testing
