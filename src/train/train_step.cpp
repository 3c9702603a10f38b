#include "train/train_step.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include "core/error.h"
#include "core/timer.h"
#include "model/device_stream.h"
#include "model/norm.h"
#include "model/tensor_dtype.h"

namespace rn::train {
namespace {

using model::dtype_of;

// Brings a parameter's gradient to its place, and tells the reducer that it is complete; autograd calls it
// once per parameter and backward.
class ReadyHook : public torch::autograd::PostAccumulateGradHook {
 public:
  ReadyHook(model::FlatParameters& params, dist::GradientReducer& reducer, std::size_t entry,
            const bool& armed)
      : params_(params), reducer_(reducer), entry_(entry), armed_(armed) {}
  void operator()(const torch::autograd::Variable&) override {
    params_.settle(entry_);
    if (armed_) reducer_.ready(entry_);
  }

 private:
  model::FlatParameters& params_;
  dist::GradientReducer& reducer_;
  const std::size_t entry_;
  const bool& armed_;
};

Batch next_batch(BatchSource& batches, report::Trace* trace) {
  const report::TraceSpan span(trace, "data");
  return batches.next();
}

}  // namespace

torch::Tensor cross_entropy_sum(const torch::Tensor& logits, const torch::Tensor& labels,
                                double label_smoothing) {
  const auto wide = logits.scalar_type() == torch::kFloat64 ? logits : logits.to(torch::kFloat32);
  return at::cross_entropy_loss(wide, labels, /*weight=*/{}, at::Reduction::Sum, /*ignore_index=*/-100,
                                label_smoothing);
}

TrainStep::TrainStep(model::Network& net, model::FlatParameters& params, Communicator& communicator,
                     Sgd& optimizer, LossScaler& scaler, Precision precision, const StepOptions& options)
    : net_(net),
      params_(params),
      communicator_(communicator),
      optimizer_(optimizer),
      scaler_(scaler),
      precision_(precision),
      options_(options),
      reducer_(communicator, params.layout(), params.gradient_bytes(), dtype_of(params.gradient),
               dtype_of(params.gradient) == DType::kF32 ? options.wire : DType::kF64) {
  const auto bytes = static_cast<std::size_t>(params.statistics.numel()) * params.statistics.element_size();
  if (bytes > 0) {  // group norm has none
    statistics_memory_ = communicator.allocate(bytes);
    statistics_sum_ = torch::from_blob(statistics_memory_->bytes().data(), {params.statistics.numel()},
                                       params.statistics.options());
  }
  if (options.strict) {
    shard_loss_ = torch::zeros({1}, params.gradient.options().dtype(torch::kFloat64));
    for (const auto& values : {params.gradient, statistics_sum_, shard_loss_}) {
      if (values.defined()) in_tree_.emplace_back(communicator, options.accumulate, values);
    }
  }
  for (std::size_t entry = 0; entry < params.layout().entries().size(); ++entry) {
    torch::autograd::impl::set_post_acc_grad_hooks(
        params.parameter(entry), std::make_unique<ReadyHook>(params, reducer_, entry, last_shard_));
  }
}

TrainStep::~TrainStep() {
  for (std::size_t entry = 0; entry < params_.layout().entries().size(); ++entry) {
    torch::autograd::impl::set_post_acc_grad_hooks(params_.parameter(entry), nullptr);
  }
}

Ballot TrainStep::run(BatchSource& batches, std::int64_t global_count, const Rate& lr) {
  Ballot ballot = accumulate_gradient(batches, global_count);
  const report::TraceSpan span(options_.trace, "optimizer");
  const torch::NoGradGuard no_grad;
  const auto [found_inf, norm] = scaler_.unscale(params_.gradient);
  if (options_.clip_norm > 0) {  // as torch.nn.utils.clip_grad_norm_
    params_.gradient.mul_((options_.clip_norm / (norm + 1e-6)).clamp_max(1.0));
  }
  optimizer_.step(lr, found_inf);  // skips on the device where the gradient is not finite
  ballot.statistics_sum = apply_statistics(global_count, found_inf);
  scaler_.update(found_inf);
  ballot.found_inf = found_inf;
  ballot.grad_norm = norm;
  return ballot;
}

Ballot TrainStep::accumulate_gradient(BatchSource& batches, std::int64_t global_count) {
  if (options_.strict) return accumulate_in_tree(batches, global_count);
  Ballot ballot;
  params_.begin_gradient();
  if (statistics_sum_.defined()) statistics_sum_.zero_();
  for (int micro_step = 0; micro_step < options_.accumulate; ++micro_step) {
    if (options_.before_shard) options_.before_shard(micro_step);
    const Batch batch = next_batch(batches, options_.trace);
    last_shard_ = micro_step == options_.accumulate - 1;
    if (batch.count > 0 || options_.empty_shards_run) forward_backward(batch, global_count, ballot);
  }
  params_.settle_gradient();  // of parameters that no shard reached
  void* const stream = model::current_stream(params_.gradient.device());
  start_statistics();  // unless the last shard has: it was empty here
  {
    const report::TraceSpan span(options_.trace, "wait for all-reduce");
    reducer_.finalize(stream);  // the gradient of the global batch, on every rank
    if (communicator_.on_device()) {
      statistics_work_.order_after(stream);
      statistics_work_ = Work();
    } else {
      statistics_ran_ = statistics_work_.wait();
    }
  }
  statistics_started_ = false;
  if (options_.trace != nullptr && options_.trace->recording()) trace_collectives();
  return ballot;
}

// Every shard's gradient, statistics and loss stand alone before they are added; nothing is reduced while
// backward runs.
Ballot TrainStep::accumulate_in_tree(BatchSource& batches, std::int64_t global_count) {
  Ballot ballot;
  for (int micro_step = 0; micro_step < options_.accumulate; ++micro_step) {
    if (options_.before_shard) options_.before_shard(micro_step);
    params_.begin_gradient();
    if (statistics_sum_.defined()) statistics_sum_.zero_();
    shard_loss_.zero_();
    const Batch batch = next_batch(batches, options_.trace);
    if (batch.count > 0) {
      ballot.loss_sum = torch::Tensor();
      forward_backward(batch, global_count, ballot);
      shard_loss_.copy_(ballot.loss_sum);
    }
    params_.settle_gradient();
    for (ShardSum& sum : in_tree_) sum.add();
  }
  const report::TraceSpan span(options_.trace, "sum over ranks");
  const Stopwatch watch;
  for (ShardSum& sum : in_tree_) sum.finish(model::current_stream(params_.gradient.device()));
  tree_seconds_ = watch.seconds();
  ballot.loss_sum =
      communicator_.rank() == 0 ? shard_loss_[0] : torch::Tensor();  // the vote adds nothing to it
  return ballot;
}

// What the communicator's thread did meanwhile.
void TrainStep::trace_collectives() {
  constexpr auto kLane = report::Trace::Lane::kCommunication;
  if (statistics_ran_) {
    options_.trace->add(kLane, "statistics", statistics_ran_->start, statistics_ran_->end,
                        {{"bytes", statistics_sum_.nbytes()}});
  }
  const auto& times = reducer_.bucket_times();
  const auto& buckets = params_.layout().buckets();
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (!times[i].ran) continue;
    const std::chrono::duration<double, std::micro> queued = times[i].ran->start - times[i].started;
    options_.trace->add(
        kLane, cat("bucket ", i), times[i].ran->start, times[i].ran->end,
        {{"bytes", buckets[i].size * params_.gradient.element_size()}, {"queued_us", queued.count()}});
  }
}

// The small sum starts before the last backward, so it is the step's first collective on every rank, with or
// without samples, and long done when the last bucket is.
void TrainStep::start_statistics() {
  if (!statistics_sum_.defined() || statistics_started_) return;
  statistics_work_ = communicator_.all_reduce(statistics_memory_->bytes(), dtype_of(statistics_sum_));
  statistics_started_ = true;
}

void TrainStep::forward_backward(const Batch& batch, std::int64_t global_count, Ballot& ballot) {
  torch::Tensor logits;  // [N, K]
  {
    const report::TraceSpan span(options_.trace, "forward");
    const AutocastScope autocast(precision_, batch.images.device());
    logits = net_.forward(batch.images);
  }
  if (statistics_sum_.defined()) {
    const torch::NoGradGuard no_grad;
    statistics_sum_.add_(params_.batch_statistics, static_cast<double>(batch.count));
  }
  if (last_shard_) start_statistics();
  const auto loss_sum = cross_entropy_sum(logits, batch.labels, options_.label_smoothing);
  {
    const report::TraceSpan span(options_.trace, "backward");
    scaler_.scale_loss(loss_sum / static_cast<double>(global_count))
        .backward();  // slices become ready, buckets start
  }

  const torch::NoGradGuard no_grad;
  const auto loss = loss_sum.detach();
  const auto correct = logits.argmax(1).eq(batch.labels).sum();
  ballot.loss_sum = ballot.loss_sum.defined() ? ballot.loss_sum + loss : loss;
  ballot.correct = ballot.correct.defined() ? ballot.correct + correct : correct;
  ballot.count += batch.count;
}

// As the weights, the running statistics of a step that is not finite stay as they were. A layer's own may be
// not finite although the gradient is: a variance that overflows makes its outputs zero. They are stored
// then, for the vote's reader to find the layer; the run ends there. Returns the ballot's statistics_sum: one
// pass over a few thousand numbers.
torch::Tensor TrainStep::apply_statistics(std::int64_t global_count, const torch::Tensor& found_inf) {
  if (!statistics_sum_.defined()) return {};
  const auto next = params_.statistics * (1.0 - model::kNormMomentum) +
                    statistics_sum_ * (model::kNormMomentum / static_cast<double>(global_count));
  params_.statistics.copy_(torch::where(found_inf.ne(0), params_.statistics, next));
  return params_.statistics.sum(torch::kFloat64);
}

}  // namespace rn::train
