#include "federated/server_optimizer.h"

#include <cmath>

namespace rn::federated {
namespace {

bool is_adaptive(ServerRule rule) {
  return rule == ServerRule::kAdagrad || rule == ServerRule::kAdam || rule == ServerRule::kYogi;
}

}  // namespace

ServerRule server_rule(const std::string& algorithm) {
  if (algorithm == "fedavgm") return ServerRule::kAvgM;
  if (algorithm == "fedadagrad") return ServerRule::kAdagrad;
  if (algorithm == "fedadam") return ServerRule::kAdam;
  if (algorithm == "fedyogi") return ServerRule::kYogi;
  return ServerRule::kSgd;
}

ServerOptimizer::ServerOptimizer(ServerRule rule, const FederatedOptions& options,
                                 const model::FlatParameters& params)
    : rule_(rule), options_(options) {
  if (rule != ServerRule::kSgd) momentum_ = params.make_storage();
  if (!is_adaptive(rule)) return;
  second_moment_ = params.make_storage();
  if (options.bias_correction) return;
  // Entry by entry: padding stays zero.
  for (const FlatEntry& entry : params.layout().entries()) {
    second_moment_.narrow(0, entry.offset, entry.numel).fill_(options.tau * options.tau);
  }
}

void ServerOptimizer::apply(torch::Tensor& weights, torch::Tensor& delta, std::int64_t round) {
  const torch::NoGradGuard no_grad;
  double lr = options_.server_lr;
  if (rule_ == ServerRule::kSgd) {
    weights.add_(delta, lr);
    return;
  }
  if (rule_ == ServerRule::kAvgM) {
    momentum_.mul_(options_.server_momentum).add_(delta);
    weights.add_(momentum_, lr);
    return;
  }
  momentum_.mul_(options_.beta1).add_(delta, 1 - options_.beta1);
  update_second_moment(delta);
  if (options_.bias_correction) {
    const auto t = static_cast<double>(round + 2);
    lr *= std::sqrt(1 - std::pow(options_.beta2, t)) / (1 - std::pow(options_.beta1, t));
  }
  at::sqrt_out(delta, second_moment_);
  weights.addcdiv_(momentum_, delta.add_(options_.tau), lr);
}

void ServerOptimizer::update_second_moment(const torch::Tensor& delta) {
  const double keep = options_.beta2;
  switch (rule_) {
    case ServerRule::kAdagrad:
      second_moment_.addcmul_(delta, delta);
      break;
    case ServerRule::kAdam:
      second_moment_.mul_(keep).addcmul_(delta, delta, 1 - keep);
      break;
    case ServerRule::kYogi: {
      const auto square = delta * delta;
      second_moment_.sub_(square.mul(at::sign(second_moment_ - square)), 1 - keep);
      break;
    }
    case ServerRule::kSgd:
    case ServerRule::kAvgM:
      break;
  }
}

void ServerOptimizer::walk(train::StateVisitor& visitor) {
  if (momentum_.defined()) visitor.storage("server", "momentum.", momentum_);
  if (second_moment_.defined()) visitor.storage("server", "second_moment.", second_moment_);
}

}  // namespace rn::federated
