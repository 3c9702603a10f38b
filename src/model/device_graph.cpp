#include "model/device_graph.h"

#include "model/cuda_graph.h"

namespace rn::model {
namespace {

class HostGraph final : public DeviceGraph {
 public:
  void capture(const std::function<void()>& body) override { body_ = body; }
  void launch() override { body_(); }

 private:
  std::function<void()> body_;
};

}  // namespace

std::unique_ptr<DeviceGraph> make_device_graph(torch::Device device) {
  if (device.is_cuda()) return make_cuda_graph();
  return std::make_unique<HostGraph>();
}

}  // namespace rn::model
