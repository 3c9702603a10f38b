#include "federated/algorithm.h"

#include "core/error.h"
#include "federated/server_optimizer.h"

namespace rn::federated {
namespace {

// FedAvg (McMahan et al. 2017): the server optimizer on the weighted mean of the updates; with mu FedProx (Li
// et al. 2020): the clients minimise f_i(y) + mu / 2 ||y - x||^2.
class FedAvg final : public Algorithm {
 public:
  FedAvg(const FederatedOptions& options, const model::FlatParameters& params)
      : mu_(options.mu), optimizer_(server_rule(options.algorithm), options, params) {}

  GradientCorrection before(const torch::Tensor& x, const LocalTask&, torch::Tensor&) override {
    return {.offset = {}, .mu = mu_, .centre = x};
  }
  Contribution after(const torch::Tensor&, const LocalTask&, const LocalResult&, torch::Tensor&) override {
    return {};
  }
  void apply(torch::Tensor& x, RoundMeans& means) override { optimizer_.apply(x, means.update, means.round); }
  void walk(train::StateVisitor& visitor) override { optimizer_.walk(visitor); }

 private:
  const double mu_;
  ServerOptimizer optimizer_;
};

// SCAFFOLD (Karimireddy et al. 2020, Algorithm 1). Every local step follows g - c_i + c. Afterwards
//   option II: c_i+ = c_i - c + (x - y_i) / (K eta_l), K the steps taken;  option I: c_i+ = the gradient at x
//   x += eta * sum of p_i d_i;  c += |S| / N * mean of (c_i+ - c_i)
// c and c_i start at zero. The paper's clients take plain steps. With momentum rho a gradient moves the
// client up to 1 / (1 - rho) times as far; FedNova's norm counts that in place of K, so that c_i stays a mean
// of gradients. (With K itself it would be too long by that factor, and beyond rho = 1/2 the variates would
// grow without end.)
class Scaffold final : public Algorithm {
 public:
  Scaffold(const FederatedOptions& options, const train::OptimizerOptions& local,
           const model::FlatParameters& params, LocalTrainer& trainer)
      : options_(options),
        local_(local),
        params_(params),
        trainer_(trainer),
        variate_(params.make_storage()),
        offset_(params.make_storage()),
        change_(params.make_storage()) {}

  std::int64_t client_state_size() const override { return params_.layout().size(); }
  bool sums_variates() const override { return true; }

  GradientCorrection before(const torch::Tensor&, const LocalTask& task, torch::Tensor& state) override {
    const torch::NoGradGuard no_grad;
    if (options_.scaffold_option == 1) {
      const torch::AutoGradMode with_gradients(true);
      trainer_.whole_gradient(task);
      change_.copy_(params_.gradient.detach());
    }
    at::sub_out(offset_, variate_, state);
    return {.offset = offset_};
  }

  Contribution after(const torch::Tensor& update, const LocalTask& task, const LocalResult& result,
                     torch::Tensor& state) override {
    const torch::NoGradGuard no_grad;
    if (options_.scaffold_option == 1) {
      change_.sub_(state);
    } else {
      const double steps = nova_norm(result.steps, task.lr, local_.momentum, local_.nesterov, /*mu=*/0);
      const double scale = -1.0 / (steps * task.lr);  // x - y_i = -update
      at::mul_out(change_, update, torch::scalar_tensor(scale, update.options()));
      change_.sub_(variate_);
    }
    state.add_(change_);
    return {.variate = change_};
  }

  void apply(torch::Tensor& x, RoundMeans& means) override {
    const torch::NoGradGuard no_grad;
    x.add_(means.update, options_.server_lr);
    variate_.add_(means.variate, static_cast<double>(means.clients) / static_cast<double>(options_.clients));
  }

  void walk(train::StateVisitor& visitor) override { visitor.storage("server", "variate.", variate_); }

 private:
  const FederatedOptions options_;
  const train::OptimizerOptions local_;
  const model::FlatParameters& params_;
  LocalTrainer& trainer_;
  torch::Tensor variate_;  // c
  torch::Tensor offset_;   // c - c_i
  torch::Tensor change_;   // c_i+ - c_i
};

// FedNova (Wang et al. 2020): x += eta * tau_eff * sum of p_i d_i / ||a_i||_1 with tau_eff = sum of p_i
// ||a_i||_1, so that clients that take more steps, or go further in a step, do not draw the mean to their own
// optimum. With equal steps it is FedAvg.
class FedNova final : public Algorithm {
 public:
  FedNova(const FederatedOptions& options, const train::OptimizerOptions& local)
      : options_(options), local_(local) {}

  GradientCorrection before(const torch::Tensor& x, const LocalTask&, torch::Tensor&) override {
    return {.offset = {}, .mu = options_.mu, .centre = x};
  }
  Contribution after(const torch::Tensor&, const LocalTask& task, const LocalResult& result,
                     torch::Tensor&) override {
    const double norm = nova_norm(result.steps, task.lr, local_.momentum, local_.nesterov, options_.mu);
    return {.factor = 1 / norm, .scalar = norm};
  }
  void apply(torch::Tensor& x, RoundMeans& means) override {
    const torch::NoGradGuard no_grad;
    x.add_(means.update, options_.server_lr * means.scalar);
  }
  void walk(train::StateVisitor&) override {}

 private:
  const FederatedOptions options_;
  const train::OptimizerOptions local_;
};

// FedDyn (Acar et al. 2021, Algorithm 1), alpha = federated.mu. Clients minimise
//   f_i(y) - <h_i, y> + alpha / 2 ||y - x||^2,   then h_i -= alpha d_i
// and the server, with uniform means over S,
//   h -= alpha |S| / N * mean of d_i;   x = mean of y_i - h / alpha.
class FedDyn final : public Algorithm {
 public:
  FedDyn(const FederatedOptions& options, const model::FlatParameters& params)
      : options_(options), h_(params.make_storage()), offset_(params.make_storage()) {}

  std::int64_t client_state_size() const override { return h_.numel(); }

  GradientCorrection before(const torch::Tensor& x, const LocalTask&, torch::Tensor& state) override {
    const torch::NoGradGuard no_grad;
    at::neg_out(offset_, state);
    return {.offset = offset_, .mu = options_.mu, .centre = x};
  }
  Contribution after(const torch::Tensor& update, const LocalTask&, const LocalResult&,
                     torch::Tensor& state) override {
    const torch::NoGradGuard no_grad;
    state.sub_(update, options_.mu);
    return {};
  }
  void apply(torch::Tensor& x, RoundMeans& means) override {
    const torch::NoGradGuard no_grad;
    const double share = static_cast<double>(means.clients) / static_cast<double>(options_.clients);
    h_.sub_(means.update, options_.mu * share);
    x.add_(means.update).sub_(h_, 1 / options_.mu);
  }
  void walk(train::StateVisitor& visitor) override { visitor.storage("server", "h.", h_); }

 private:
  const FederatedOptions options_;
  torch::Tensor h_;
  torch::Tensor offset_;  // -h_i
};

}  // namespace

std::unique_ptr<Algorithm> make_algorithm(const FederatedOptions& options,
                                          const train::OptimizerOptions& local,
                                          const model::FlatParameters& params, LocalTrainer& trainer) {
  if (options.algorithm == "scaffold") {
    return std::make_unique<Scaffold>(options, local, params, trainer);
  }
  if (options.algorithm == "fednova") return std::make_unique<FedNova>(options, local);
  if (options.algorithm == "feddyn") return std::make_unique<FedDyn>(options, params);
  return std::make_unique<FedAvg>(options, params);
}

double nova_norm(std::int64_t steps, double lr, double momentum, bool nesterov, double mu) {
  RN_CHECK(steps >= 1);
  double moved = 0, buffer = 0;
  for (std::int64_t step = 0; step < steps; ++step) {
    const double gradient = 1 - lr * mu * moved;
    buffer = momentum * buffer + gradient;
    moved += nesterov ? gradient + momentum * buffer : buffer;
  }
  return moved;
}

}  // namespace rn::federated
