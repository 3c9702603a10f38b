#include "federated/local_trainer.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/random.h"
#include "data/epoch_order.h"
#include "federated/attack.h"
#include "model/norm.h"
#include "train/batch.h"
#include "train/train_step.h"

namespace rn::federated {
namespace {

std::uint64_t draw_64(std::uint64_t seed, Purpose purpose, std::int64_t a, std::int64_t b) {
  CounterRandom random(seed, purpose, static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b));
  const std::uint64_t high = random.next();
  return (high << 32) | random.next();
}

}  // namespace

std::uint64_t client_seed(std::uint64_t seed, std::int64_t round, std::int64_t client) {
  return draw_64(seed, Purpose::kClient, round, client);
}

LocalTrainer::LocalTrainer(model::Network& net, model::FlatParameters& params, const data::ImageSet& images,
                           int classes, const LocalOptions& options)
    : net_(net),
      params_(params),
      images_(images),
      classes_(classes),
      options_(options),
      augmenter_(options.augment, images.channels, images.height, images.width),
      optimizer_(options.optimizer, params),
      never_(torch::zeros({1}, torch::dtype(torch::kFloat32).device(params.weights.device()))) {}

LocalResult LocalTrainer::train(const LocalTask& task, const GradientCorrection& correction) {
  const auto seed = client_seed(options_.seed, task.round, task.client);
  const auto size = static_cast<std::int64_t>(task.images.size());
  RN_CHECK(size > 0, "client ", task.client, " has no images");
  if (options_.optimizer.momentum != 0) optimizer_.momentum.zero_();
  net_.train();

  const std::int64_t step_images = task.whole_gradient ? size : std::min(options_.batch, size);
  const bool drops = options_.drop_last && size >= step_images;
  const std::int64_t per_epoch = drops ? size / step_images : (size + step_images - 1) / step_images;
  // Whether a step's gradient is used once: of one batch, and as it is.
  const bool is_plain = step_images <= options_.batch && !correction.offset.defined() && correction.mu == 0 &&
                        options_.clip_norm == 0;
  LocalResult result;
  const std::int64_t steps = task.whole_gradient ? 1 : task.steps;
  for (std::int64_t step = 0; step < steps; ++step) {
    const std::int64_t epoch = step / per_epoch;
    const std::int64_t begin = step % per_epoch * step_images;
    if (begin == 0) draw_order(task, seed, epoch);
    params_.begin_gradient(is_plain ? optimizer_.plain_step(task.lr) : std::nullopt);
    net_.set_dropout_key(draw_64(seed, Purpose::kDropout, step, 0));
    accumulate(task, seed, epoch, begin, std::min(size, begin + step_images), result,
               /*keeps_statistics=*/true);
    if (!std::isfinite(result.loss_sum)) return result;
    const torch::NoGradGuard no_grad;
    correct(correction);
    if (options_.clip_norm > 0) {  // as torch.nn.utils.clip_grad_norm_
      const double norm = at::linalg_vector_norm(params_.gradient).item<double>();
      params_.gradient.mul_(std::min(1.0, options_.clip_norm / (norm + 1e-6)));
    }
    optimizer_.step(task.lr, never_);
    ++result.steps;
    if (options_.on_step) options_.on_step();
  }
  return result;
}

LocalResult LocalTrainer::whole_gradient(const LocalTask& task) {
  const auto seed = client_seed(options_.seed, task.round, task.client);
  net_.train();
  draw_order(task, seed, 0);
  params_.begin_gradient();
  net_.set_dropout_key(draw_64(seed, Purpose::kDropout, -1, 0));
  LocalResult result;
  accumulate(task, seed, 0, 0, static_cast<std::int64_t>(task.images.size()), result,
             /*keeps_statistics=*/false);
  return result;
}

void LocalTrainer::draw_order(const LocalTask& task, std::uint64_t seed, std::int64_t epoch) {
  order_ = data::epoch_order(static_cast<std::int64_t>(task.images.size()), seed, epoch);
}

void LocalTrainer::accumulate(const LocalTask& task, std::uint64_t seed, std::int64_t epoch,
                              std::int64_t begin, std::int64_t end, LocalResult& result,
                              bool keeps_statistics) {
  const auto total = static_cast<double>(end - begin);
  for (std::int64_t first = begin; first < end; first += options_.batch) {
    fill(task, seed, epoch, first, std::min(end, first + options_.batch));
    const auto batch = train::to_batch(batch_, images_.channels, images_.height, images_.width,
                                       params_.weights.device(), params_.weights.scalar_type());
    torch::Tensor logits;  // [N, K]
    {
      const train::AutocastScope autocast(options_.precision, batch.images.device());
      logits = net_.forward(batch.images);
    }
    const auto loss_sum = train::cross_entropy_sum(logits, batch.labels, options_.label_smoothing);
    loss_sum.backward(torch::full({}, 1.0 / total, loss_sum.options()));
    if (keeps_statistics && params_.statistics.numel() > 0) {
      const torch::NoGradGuard no_grad;
      params_.statistics.lerp_(params_.batch_statistics, model::kNormMomentum);
    }
    result.loss_sum += loss_sum.item<double>();
    result.images += batch.count;
  }
  params_.settle_gradient();
}

void LocalTrainer::fill(const LocalTask& task, std::uint64_t seed, std::int64_t epoch, std::int64_t begin,
                        std::int64_t end) {
  request_.indices.clear();
  request_.draws.clear();
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t image = task.images[static_cast<std::size_t>(order_[static_cast<std::size_t>(i)])];
    request_.indices.push_back(image);
    request_.draws.push_back(
        data::draw_augment(options_.augment, images_.height, images_.width, seed, epoch, image));
  }
  data::fill_batch(images_, augmenter_, request_, batch_);
  if (!task.flip_labels) return;
  for (auto& label : batch_.labels) label = flipped_label(static_cast<std::uint8_t>(label), classes_);
}

void LocalTrainer::correct(const GradientCorrection& correction) {
  if (correction.offset.defined()) params_.gradient.add_(correction.offset);
  if (correction.mu == 0) return;
  if (!distance_.defined()) distance_ = params_.make_storage();
  at::sub_out(distance_, params_.weights, correction.centre);
  params_.gradient.add_(distance_, correction.mu);
}

}  // namespace rn::federated
