// A client's part of a round: local SGD on its own images, in the one resident model of the rank.
//
// A client's draws are those of a small training run of its own, whose seed is client_seed(): order of an
// epoch, augmentation and dropout. So nothing depends on the rank or on the clients before.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "data/loader.h"
#include "model/factory.h"
#include "model/flat_parameters.h"
#include "train/optimizer.h"
#include "train/options.h"
#include "train/precision.h"

namespace rn::federated {

// The same for every client of a run.
struct LocalOptions {
  train::OptimizerOptions optimizer;
  data::AugmentOptions augment;
  std::int64_t batch = 0;  // images of a local step
  bool drop_last = false;
  double label_smoothing = 0;
  double clip_norm = 0;  // of a step's gradient; 0: none
  train::Precision precision = train::Precision::kFP32;
  std::uint64_t seed = 0;         // of the run
  std::function<void()> on_step;  // for the progress board; may be empty
};

struct LocalTask {
  std::int64_t round = 0;
  std::int64_t client = 0;
  std::span<const std::uint32_t> images;  // the client's, into the training set
  std::int64_t steps = 0;
  double lr = 0;
  bool flip_labels = false;     // a hostile client's, see attack.h
  bool whole_gradient = false;  // one step over all images instead of `steps` of a batch (FedSGD)
};

// What is added to the gradient in every step: offset + mu * (weights - centre), before weight decay and
// momentum.
struct GradientCorrection {
  torch::Tensor offset;  // a storage of the layout; undefined: none
  double mu = 0;
  torch::Tensor centre;  // with mu > 0
};

struct LocalResult {
  double loss_sum = 0;  // of the losses as trained, over `images` images
  std::int64_t images = 0;
  std::int64_t steps = 0;  // taken
};

// The 64 bits that all draws of a client's part in a round come from.
std::uint64_t client_seed(std::uint64_t seed, std::int64_t round, std::int64_t client);

class LocalTrainer {
 public:
  // Borrows net, params and images.
  LocalTrainer(model::Network& net, model::FlatParameters& params, const data::ImageSet& images, int classes,
               const LocalOptions& options);

  // Trains params.weights and params.statistics from where they are; momentum starts at zero. Ends early
  // where a loss is not finite: then so is loss_sum.
  LocalResult train(const LocalTask& task, const GradientCorrection& correction);

  // The gradient of the mean loss over all of the client's images, augmented as in its first epoch, into
  // params.gradient. Leaves weights and statistics as they are.
  LocalResult whole_gradient(const LocalTask& task);

 private:
  // Adds the gradient of (summed loss / total) over the images at `order[begin, end)`, in batches.
  void accumulate(const LocalTask& task, std::uint64_t seed, std::int64_t epoch, std::int64_t begin,
                  std::int64_t end, LocalResult& result, bool keeps_statistics);
  void fill(const LocalTask& task, std::uint64_t seed, std::int64_t epoch, std::int64_t begin,
            std::int64_t end);
  void draw_order(const LocalTask& task, std::uint64_t seed, std::int64_t epoch);
  void correct(const GradientCorrection& correction);

  model::Network& net_;
  model::FlatParameters& params_;
  const data::ImageSet& images_;
  const int classes_;
  const LocalOptions options_;
  const data::Augmenter augmenter_;
  train::Sgd optimizer_;
  // Scratch, kept between steps.
  const torch::Tensor never_;  // found_inf of every step: a client's end is judged instead
  torch::Tensor distance_;     // weights - centre
  std::vector<std::int64_t> order_;
  data::ShardRequest request_;
  data::HostBatch batch_;
};

}  // namespace rn::federated
