// What a function queues on a GPU, recorded once and queued again by a single call.
//
// Launching the hundreds of kernels of a training step takes the host longer than a fast GPU needs for them;
// a graph of them is one launch. What is recorded are kernels and the addresses that they use: whatever the
// host does or decides in the function happens once, at the recording, and tensors that the function makes
// keep their place between launches.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <memory>

namespace rn::model {

class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;

  // Records what `body` queues on the calling thread's current stream (see use_own_stream) and on streams
  // that it orders behind that one; nothing of it runs. Once. Throws c10::Error where something in it cannot
  // be recorded, such as a copy that the host waits for.
  virtual void capture(const std::function<void()>& body) = 0;
  // Queues all of it on the current stream.
  virtual void launch() = 0;
};

// On the CPU, where nothing is queued: the plain twin, whose launch() calls the body.
std::unique_ptr<DeviceGraph> make_device_graph(torch::Device device);

}  // namespace rn::model
