// Evaluation on all ranks: integer counts and per-batch losses, the same bits at any rank count.
//
// Every batch has one fixed shape (the last one is padded) and is made of the same images whatever the rank
// count, so its logits do not depend on it; counts are integers, and the losses of batches are summed in the
// batches' order.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "core/communicator.h"
#include "data/dataset.h"
#include "model/factory.h"
#include "train/options.h"
#include "train/precision.h"

namespace rn::train {

struct EvalResult {
  std::int64_t n = 0;
  std::int64_t top1 =
      0;  // images whose label ranks first; ties go to the lower class index, NaN never counts
  std::int64_t top5 = 0;
  double loss_sum = 0;                  // cross entropy without label smoothing
  std::vector<std::int64_t> confusion;  // [K, K] row: label, column: predicted class
  std::int64_t classes = 0;

  double top1_percent() const {
    return n > 0 ? 100.0 * static_cast<double>(top1) / static_cast<double>(n) : 0;
  }
  double top5_percent() const {
    return n > 0 ? 100.0 * static_cast<double>(top5) / static_cast<double>(n) : 0;
  }
  double loss() const { return n > 0 ? loss_sum / static_cast<double>(n) : 0; }
  bool operator==(const EvalResult&) const = default;
};

// Where an evaluation computes and on what.
struct EvalSetup {
  const data::AugmentOptions& augment;  // its normalisation only
  const data::DataOptions& data;        // loader threads
  const EvalOptions& eval;
  Precision precision = Precision::kFP32;
  torch::Device device = torch::kCPU;
  std::int64_t classes = 10;
  std::function<void()> on_batch;  // called after every batch, for the progress board; may be empty
};

// Collective over `host`. The network is put into evaluation mode and back. With eval.on: rank0 the other
// ranks only wait for the counts.
EvalResult evaluate(model::Network& net, const data::ImageSet& images, Communicator& host,
                    const EvalSetup& setup);

// Adds one batch's logits to the counts and returns its loss sum: logits [N, K] on the host, labels [N] (-1:
// padding).
double count_batch(const torch::Tensor& logits, const std::int64_t* labels, EvalResult& result);

}  // namespace rn::train
