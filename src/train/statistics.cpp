#include "train/statistics.h"

#include <algorithm>
#include <optional>

#include "model/device_stream.h"
#include "model/tensor_dtype.h"
#include "train/batch.h"
#include "train/shard_sum.h"

namespace rn::train {

void reestimate_statistics(model::Network& net, model::FlatParameters& params, const data::ImageSet& images,
                           StepPlan& plan, std::int64_t total_steps, const EstimationSetup& setup,
                           Communicator& communicator, Swa& swa) {
  const std::int64_t wanted = setup.images > 0 ? std::min(setup.images, images.size) : images.size;
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

  data::PrefetchLoader loader(images, setup.augment, setup.data.workers, setup.data.prefetch,
                              plan.requests(communicator.rank(), first, last));
  net.train();
  // Strictly reproducible: each shard's values alone, then the sum over the step's shards, then over the
  // steps.
  std::optional<ShardSum> in_tree;
  if (setup.strict_shards > 0) in_tree.emplace(communicator, setup.strict_shards, sum);
  auto total = in_tree ? torch::zeros_like(sum) : sum;
  int shards = 0;  // of the current step
  while (const data::HostBatch* host = loader.next()) {
    if (host->count > 0 || setup.empty_shards_run) {
      const Batch batch = to_batch(*host, images.channels, images.height, images.width,
                                   params.weights.device(), params.weights.scalar_type());
      const AutocastScope autocast(setup.precision, params.weights.device());
      net.forward(batch.images);
      sum.add_(params.batch_statistics, static_cast<double>(batch.count));
      if (setup.on_batch) setup.on_batch();
    }
    if (!in_tree) continue;
    in_tree->add();
    if (++shards == setup.strict_shards) {
      shards = 0;
      in_tree->finish(model::current_stream(sum.device()));
      total.add_(sum);
    }
    sum.zero_();
  }
  if (!in_tree) communicator.all_reduce(memory->bytes(), model::dtype_of(sum)).wait();
  swa.statistics.copy_(total.div_(static_cast<double>(covered)));
}

std::string non_finite_statistic(const model::FlatParameters& params, const torch::Tensor& values) {
  const torch::Tensor finite = values.detach().to(torch::kCPU).isfinite();
  for (const auto& entry : params.statistic_entries()) {
    if (!finite.narrow(0, entry.offset, entry.numel).all().item<bool>()) return entry.name;
  }
  return {};
}

}  // namespace rn::train
