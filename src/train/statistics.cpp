#include "train/statistics.h"

#include <algorithm>

#include "train/batch.h"

namespace rn::train {

void reestimate_statistics(model::Network& net, model::FlatParameters& params, const data::ImageSet& images,
                           StepPlan& plan, std::int64_t total_steps, const TrainerOptions& options,
                           Communicator& communicator, Swa& swa) {
  const std::int64_t wanted =
      options.swa.bn_images > 0 ? std::min(options.swa.bn_images, images.size) : images.size;
  // The first whole epoch after the run: its draws were never trained on.
  const std::int64_t first =
      (total_steps + plan.steps_per_epoch() - 1) / plan.steps_per_epoch() * plan.steps_per_epoch();
  std::int64_t last = first;
  std::int64_t covered = 0;
  while (covered < wanted && last < first + plan.steps_per_epoch()) covered += plan.at(last++).count;

  const torch::NoGradGuard no_grad;
  const WeightSwap swap(params, swa.weights, swa.statistics);
  auto memory = communicator.allocate(params.statistics.nbytes());
  auto sum =
      torch::from_blob(memory->bytes().data(), {params.statistics.numel()}, params.statistics.options());
  sum.zero_();

  std::int64_t step = first;
  int micro_step = 0;
  data::PrefetchLoader loader(images, options.augment, options.data.workers, options.data.prefetch,
                              [&]() -> std::optional<data::ShardRequest> {
                                if (step >= last) return std::nullopt;
                                auto request = plan.request(step, communicator.rank(), micro_step);
                                if (++micro_step == options.step.accumulate) {
                                  micro_step = 0;
                                  ++step;
                                }
                                return request;
                              });
  net.train();
  while (const data::HostBatch* host = loader.next()) {
    if (host->count == 0 && !options.step.empty_shards_run) continue;
    const Batch batch = to_batch(*host, images.channels, images.height, images.width, params.weights.device(),
                                 params.weights.scalar_type());
    const AutocastScope autocast(options.precision, params.weights.device());
    net.forward(batch.images);
    sum.add_(params.batch_statistics, static_cast<double>(batch.count));
  }
  const DType dtype = sum.scalar_type() == torch::kFloat64 ? DType::kF64 : DType::kF32;
  communicator.all_reduce(memory->bytes(), dtype).wait();
  swa.statistics.copy_(sum.div_(static_cast<double>(covered)));
}

}  // namespace rn::train
