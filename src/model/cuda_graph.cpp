#include "model/cuda_graph.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>

#include <exception>

namespace rn::model {
namespace {

class CudaGraph final : public DeviceGraph {
 public:
  ~CudaGraph() override {
    // On the way to a bad end nothing of CUDA is called, where it could hang: the process ends without it.
    if (std::uncaught_exceptions() > 0) (void)graph_.release();
  }

  void capture(const std::function<void()>& body) override {
    // A graph has memory of its own, which what the steps before have left in the cache cannot serve.
    c10::cuda::CUDACachingAllocator::emptyCache();
    // Backward and NCCL work on threads of their own, which must not be held to what this one may not call.
    graph_->capture_begin(/*pool=*/{0, 0}, cudaStreamCaptureModeThreadLocal);
    body();
    graph_->capture_end();
  }

  void launch() override { graph_->replay(); }

 private:
  std::unique_ptr<at::cuda::CUDAGraph> graph_ = std::make_unique<at::cuda::CUDAGraph>();
};

}  // namespace

std::unique_ptr<DeviceGraph> make_cuda_graph() { return std::make_unique<CudaGraph>(); }

}  // namespace rn::model
