#include "train/evaluator.h"

#include <cmath>

#include "core/error.h"
#include "train/batch.h"
#include "train/eval_plan.h"

namespace rn::train {
namespace {

constexpr std::int64_t kTopK = 5;

class EvaluationMode {
 public:
  explicit EvaluationMode(model::Network& net) : net_(net), was_training_(net.is_training()) { net.eval(); }
  ~EvaluationMode() { net_.train(was_training_); }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  model::Network& net_;
  const bool was_training_;
};

template <typename T>
void sum_over_ranks(std::vector<T>& values, DType dtype, Communicator& host) {
  host.all_reduce(bytes_of(std::span(values)), dtype).wait();
}

}  // namespace

double count_batch(const torch::Tensor& logits, const std::int64_t* labels, EvalResult& result) {
  const auto wide = logits.to(torch::kCPU, torch::kFloat32).contiguous();
  const std::int64_t classes = wide.size(1);
  double loss_sum = 0;
  for (std::int64_t row = 0; row < wide.size(0); ++row) {
    const std::int64_t label = labels[row];
    if (label < 0) continue;
    const float* scores = wide.const_data_ptr<float>() + row * classes;
    std::int64_t rank_of_label = 0;  // classes that score higher, or as high with a lower index
    std::int64_t predicted = 0;
    for (std::int64_t k = 0; k < classes; ++k) {
      if (scores[k] > scores[label] || (scores[k] == scores[label] && k < label)) ++rank_of_label;
      if (scores[k] > scores[predicted]) predicted = k;
    }
    double exponents = 0;
    for (std::int64_t k = 0; k < classes; ++k) exponents += std::exp(double{scores[k]} - scores[predicted]);
    const double loss = std::log(exponents) + scores[predicted] - scores[label];
    const bool ranked =
        !std::isnan(loss);  // a NaN compares as neither above nor below: nothing is ahead of it
    loss_sum += loss;
    result.n += 1;
    result.top1 += ranked && predicted == label ? 1 : 0;
    result.top5 += ranked && rank_of_label < kTopK ? 1 : 0;
    result.confusion[static_cast<std::size_t>(label * classes + predicted)] += 1;
  }
  return loss_sum;
}

EvalResult evaluate(model::Network& net, const data::ImageSet& images, Communicator& host,
                    const EvalSetup& setup) {
  const EvaluationMode evaluation(net);
  const c10::InferenceMode inference;
  const bool only_first = setup.eval.on == "rank0";
  const int rank = host.rank();
  const int ranks = only_first ? 1 : host.world_size();
  const EvalPlan plan(images.size, setup.eval.batch, ranks);

  EvalResult result;
  result.classes = setup.classes;
  result.confusion.assign(static_cast<std::size_t>(setup.classes * setup.classes), 0);
  std::vector<double> batch_losses(static_cast<std::size_t>(plan.batches()), 0.0);
  if (rank < ranks) {
    std::int64_t requested = 0;
    data::PrefetchLoader loader(images, setup.augment, setup.data.workers, setup.data.prefetch,
                                [&]() -> std::optional<data::ShardRequest> {
                                  if (requested == plan.batches_of(rank)) return std::nullopt;
                                  return plan.request(rank, requested++);
                                });
    for (std::int64_t i = 0; const data::HostBatch* batch = loader.next(); ++i) {
      const auto on_device = to_batch(*batch, images.channels, images.height, images.width, setup.device,
                                      net.parameters().front().scalar_type());
      const AutocastScope autocast(setup.precision, setup.device);
      const auto logits = net.forward(on_device.images);
      batch_losses[static_cast<std::size_t>(rank + i * ranks)] =
          count_batch(logits, batch->labels.data(), result);
      if (setup.on_batch) setup.on_batch();
    }
  }

  std::vector<std::int64_t> counts = {result.n, result.top1, result.top5};
  counts.insert(counts.end(), result.confusion.begin(), result.confusion.end());
  sum_over_ranks(counts, DType::kI64, host);
  if (!batch_losses.empty())
    sum_over_ranks(batch_losses, DType::kF64, host);  // each is non-zero on one rank only
  result.n = counts[0];
  result.top1 = counts[1];
  result.top5 = counts[2];
  result.confusion.assign(counts.begin() + 3, counts.end());
  result.loss_sum = 0;
  for (const double loss : batch_losses) result.loss_sum += loss;
  RN_CHECK(result.n == images.size, "evaluated ", result.n, " of ", images.size, " images");
  return result;
}

}  // namespace rn::train
