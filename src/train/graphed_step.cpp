#include "train/graphed_step.h"

#include <utility>

#include "core/error.h"
#include "train/torch_message.h"

namespace rn::train {
namespace {

class OneBatch final : public BatchSource {
 public:
  explicit OneBatch(const Batch& batch) : batch_(batch) {}
  Batch next() override { return batch_; }
  double take_wait_seconds() override { return 0; }

 private:
  const Batch& batch_;
};

}  // namespace

GraphedStep::GraphedStep(TrainStep& step, Communicator& communicator, torch::Device device,
                         std::int64_t full_count, std::unique_ptr<model::DeviceGraph> graph)
    : step_(step),
      communicator_(communicator),
      full_count_(full_count),
      graph_(std::move(graph)),
      lr_(torch::zeros({}, torch::dtype(torch::kFloat32).device(device))) {}

Ballot GraphedStep::run(BatchSource& batches, std::int64_t global_count, double lr, bool eager) {
  launched_ = false;
  lr_.fill_(lr);
  if (eager || global_count != full_count_) return step_.run(batches, global_count, lr_);
  const Batch batch = batches.next();
  if (!full_.images.defined()) {
    full_ = {torch::empty_like(batch.images), torch::empty_like(batch.labels), batch.count};
    OneBatch one(batch);
    return step_.run(one, global_count, lr_);
  }
  RN_CHECK(batch.count == full_.count && batch.images.sizes() == full_.images.sizes(), "a full batch of ",
           batch.images.sizes(), ", the first was ", full_.images.sizes());
  full_.images.copy_(batch.images, /*non_blocking=*/true);
  full_.labels.copy_(batch.labels, /*non_blocking=*/true);
  if (!captured_) capture();
  communicator_.before_launch();
  graph_->launch();
  communicator_.after_launch();
  launched_ = true;
  return ballot_;
}

void GraphedStep::capture() {
  const auto refuse = [](const std::string& why) {
    throw EnvironmentError(cat("train.cuda_graph: this step cannot be recorded as a graph here: ", why,
                               " Set train.cuda_graph: false."));
  };
  communicator_.begin_capture();
  try {
    graph_->capture([this] {
      OneBatch one(full_);
      ballot_ = step_.run(one, full_count_, lr_);
    });
  } catch (const c10::Error& error) {
    if (is_out_of_memory(error)) throw;
    refuse(message_of(error));
  } catch (const InternalError& error) {  // of a call to CUDA or NCCL
    refuse(error.what());
  }
  communicator_.end_capture();
  captured_ = true;
}

}  // namespace rn::train
