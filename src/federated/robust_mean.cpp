#include "federated/robust_mean.h"

#include <algorithm>
#include <functional>
#include <span>
#include <vector>

#include "core/error.h"
#include "federated/robust_aggregation.h"

namespace rn::federated {
namespace {

constexpr std::int64_t kSliceElements = 1 << 16;

class RobustMean final : public Aggregator {
 public:
  RobustMean(RobustRule rule, const FederatedOptions& options, const model::FlatParameters& params,
             Communicator& communicator)
      : rule_(rule), options_(options), size_(params.layout().size()), host_(communicator.host()) {}

  void begin(std::int64_t, const std::vector<std::int64_t>& clients) override {
    mine_.assign(clients.size(), torch::Tensor());
  }

  void add(std::size_t place, const torch::Tensor& update, double) override {
    mine_[place] = update.detach().to(torch::kCPU, torch::kFloat32, /*non_blocking=*/false, /*copy=*/true);
  }

  void finish(const RoundTable& table, double, torch::Tensor& out) override {
    places_.clear();
    for (std::size_t place = 0; place < mine_.size(); ++place) {
      if (table.report(place).counts) places_.push_back(place);
    }
    auto joined = torch::empty({size_}, torch::kFloat32);
    const std::span<float> values(joined.data_ptr<float>(), static_cast<std::size_t>(size_));
    if (rule_ == RobustRule::kKrum || rule_ == RobustRule::kMultiKrum) {
      join_by_krum(values);
    } else {
      for_each_slice([&](Updates updates, std::size_t offset) {
        const auto slice = values.subspan(offset, updates.front().size());
        if (rule_ == RobustRule::kMedian) {
          coordinate_median(updates, slice);
        } else {
          trimmed_mean(updates, options_.trim, slice);
        }
      });
    }
    out.copy_(joined);
    std::fill(mine_.begin(), mine_.end(), torch::Tensor());
  }

 private:
  void join_by_krum(std::span<float> values) {
    const auto count = static_cast<std::int64_t>(places_.size());
    const std::int64_t keep = rule_ == RobustRule::kKrum ? 1 : options_.krum_keep;
    check_krum(count, options_.byzantine, keep);
    std::vector<double> distances(places_.size() * places_.size(), 0.0);
    for_each_slice([&](Updates updates, std::size_t) {
      const auto of_slice = squared_distances(updates);
      for (std::size_t i = 0; i < distances.size(); ++i) distances[i] += of_slice[i];
    });
    const auto kept = lowest_scores(krum_scores(distances, options_.byzantine), keep);
    for_each_slice([&](Updates updates, std::size_t offset) {
      std::vector<std::span<const float>> chosen;
      for (const std::int64_t position : kept) chosen.push_back(updates[static_cast<std::size_t>(position)]);
      trimmed_mean(chosen, 0, values.subspan(offset, updates.front().size()));
    });
  }

  // Collective. Calls `work` with a slice of every update that counts, in the order of places, the same on
  // all ranks: each rank brings its own, zeros stand for the others'.
  void for_each_slice(const std::function<void(Updates, std::size_t offset)>& work) {
    for (std::int64_t offset = 0; offset < size_; offset += kSliceElements) {
      const auto length = static_cast<std::size_t>(std::min(kSliceElements, size_ - offset));
      gathered_.assign(places_.size() * length, 0.0F);
      std::vector<std::span<const float>> updates;
      for (std::size_t i = 0; i < places_.size(); ++i) {
        const std::span<float> target = std::span(gathered_).subspan(i * length, length);
        if (const auto& update = mine_[places_[i]]; update.defined()) {
          std::copy_n(update.const_data_ptr<float>() + offset, length, target.begin());
        }
        updates.emplace_back(target);
      }
      host_.all_reduce(bytes_of(std::span(gathered_)), DType::kF32).wait();
      work(updates, static_cast<std::size_t>(offset));
    }
  }

  const RobustRule rule_;
  const FederatedOptions options_;
  const std::int64_t size_;
  Communicator& host_;
  std::vector<torch::Tensor> mine_;  // by place: float32 on the host; undefined: another rank's, or none
  std::vector<std::size_t> places_;  // whose updates count
  std::vector<float> gathered_;
};

}  // namespace

RobustRule robust_rule(const std::string& aggregation) {
  if (aggregation == "median") return RobustRule::kMedian;
  if (aggregation == "trimmed_mean") return RobustRule::kTrimmedMean;
  if (aggregation == "krum") return RobustRule::kKrum;
  if (aggregation == "multi_krum") return RobustRule::kMultiKrum;
  return RobustRule::kNone;
}

std::unique_ptr<Aggregator> make_robust_mean(RobustRule rule, const FederatedOptions& options,
                                             const model::FlatParameters& params,
                                             Communicator& communicator) {
  return std::make_unique<RobustMean>(rule, options, params, communicator);
}

}  // namespace rn::federated
