#include "federated/aggregator.h"

#include "core/error.h"
#include "federated/exact_sum.h"
#include "federated/robust_mean.h"
#include "federated/secure_mean.h"

namespace rn::federated {
namespace {

// FedAvg's weighted mean.
class Mean final : public Aggregator {
 public:
  Mean(const model::FlatParameters& params, Communicator& communicator) : sum_(params, communicator) {}
  void begin(std::int64_t, const std::vector<std::int64_t>&) override { sum_.clear(); }
  void add(std::size_t, const torch::Tensor& update, double weight) override { sum_.add(update, weight); }
  void finish(const RoundTable&, double scale, torch::Tensor& out) override { sum_.finish(scale, out); }

 private:
  ExactAccumulator sum_;
};

}  // namespace

ExactAccumulator::ExactAccumulator(const model::FlatParameters& params, Communicator& communicator)
    : communicator_(communicator) {
  const auto size = params.layout().size();
  const auto options = params.weights.options().dtype(torch::kFloat64);
  if (communicator.on_device() != params.weights.device().is_cuda()) {
    sum_ = torch::zeros({size}, options);
    return;
  }
  memory_ = communicator.allocate(static_cast<std::size_t>(size) * sizeof(double));
  sum_ = torch::from_blob(memory_->bytes().data(), {size}, options);
}

void ExactAccumulator::add(const torch::Tensor& values, double weight) { add_exactly(values, weight, sum_); }

void ExactAccumulator::finish(double scale, torch::Tensor& out) {
  const torch::NoGradGuard no_grad;
  if (memory_) {
    communicator_.all_reduce(memory_->bytes(), DType::kF64).wait();
  } else {
    RN_CHECK(communicator_.world_size() == 1, "the communicator does not reach the sums' memory");
  }
  if (scale != 1) sum_.mul_(scale);
  out.copy_(sum_);
}

std::unique_ptr<Aggregator> make_aggregator(const FederatedOptions& options,
                                            const model::FlatParameters& params, Communicator& communicator,
                                            std::uint64_t seed) {
  if (options.secure_aggregation) return make_secure_mean(params, communicator, seed);
  const auto rule = robust_rule(options.aggregation);
  if (rule != RobustRule::kNone) return make_robust_mean(rule, options, params, communicator);
  return std::make_unique<Mean>(params, communicator);
}

}  // namespace rn::federated
