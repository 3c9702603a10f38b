// A whole TrainState whose every number is random: EMA, SWA and loss scaling are on.
#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cstdint>
#include <memory>

#include "dist/single_communicator.h"
#include "train/train_state.h"
#include "train_testing.h"

namespace rn::train::testing {

// Equal seeds give equal states, on any rank.
struct SampleState {
  explicit SampleState(std::uint64_t seed, int width = 4)
      : net(make(width)),
        params(*net, single, 1 << 12),
        optimizer({}, params),
        scaler(Precision::kFP16, torch::kCPU),
        state(params, optimizer, scaler, {.enabled = true}, {.enabled = true}) {
    const torch::NoGradGuard no_grad;
    torch::manual_seed(seed);
    // Through the entries, so that the padding stays zero.
    for (torch::Tensor* storage :
         {&params.weights, &optimizer.momentum, &state.ema->weights, &state.swa->weights}) {
      for (const FlatEntry& entry : params.layout().entries()) params.view(*storage, entry).normal_();
    }
    for (torch::Tensor* values : {&params.statistics, &state.ema->statistics, &state.swa->statistics})
      values->uniform_();
    const auto number = static_cast<std::int64_t>(seed);
    scaler.scale.fill_(1024.0 * static_cast<double>(number));
    scaler.growth_tracker.fill_(number);
    state.ema->updates = 10 + number;
    state.swa->snapshots = 20 + number;
    const double third = 1.0 / 3.0 + static_cast<double>(number);  // all 53 bits are used
    state.progress = {100 + number, third,       7 + number,  8 + number, third * 1e-9,
                      third * 10,   90 + number, third * 1e9, number};
  }

  static std::shared_ptr<model::Network> make(int width) {
    auto options = narrow_resnet(model::Norm::kBatch);
    options.width = width;
    return model::make_network(options, kClasses, 1, nullptr);
  }

  dist::SingleCommunicator single;
  std::shared_ptr<model::Network> net;
  model::FlatParameters params;
  Sgd optimizer;
  LossScaler scaler;
  TrainState state;
};

}  // namespace rn::train::testing
