// The rules of `federated:`.
#include <algorithm>
#include <cmath>

#include "config/derived.h"
#include "config/option_table.h"
#include "config/validate_rules.h"
#include "core/error.h"

namespace rn::config {
namespace {

// A key that means something with some values of another key only.
struct Belonging {
  const char* name;
  const char* owner;
  std::vector<std::string> values;
};

const std::vector<Belonging>& belongings() {
  static const std::vector<std::string> adaptive = {"fedadagrad", "fedadam", "fedyogi"};
  static const std::vector<std::string> any_privacy = {"central", "local"};
  static const std::vector<Belonging> all = {
      {"server_momentum", "algorithm", {"fedavgm"}},
      {"beta1", "algorithm", adaptive},
      {"beta2", "algorithm", {"fedadam", "fedyogi"}},
      {"tau", "algorithm", adaptive},
      {"bias_correction", "algorithm", {"fedadam"}},
      {"mu", "algorithm", {"fedprox", "fednova", "feddyn"}},
      {"scaffold_option", "algorithm", {"scaffold"}},
      {"buffer_size", "algorithm", {"fedbuff"}},
      {"staleness_weight", "algorithm", {"fedbuff"}},
      {"max_staleness", "algorithm", {"fedbuff"}},
      {"alpha", "partition", {"dirichlet_class", "dirichlet_client", "quantity"}},
      {"min_samples", "partition", {"dirichlet_class", "quantity"}},
      {"self_balancing", "partition", {"dirichlet_class"}},
      {"client_samples", "partition", {"iid", "dirichlet_client"}},
      {"labels_per_client", "partition", {"labels"}},
      {"shards_per_client", "partition", {"shards"}},
      {"partition_file", "partition", {"file"}},
      {"trim", "aggregation", {"trimmed_mean"}},
      {"krum_keep", "aggregation", {"multi_krum"}},
      {"attack_scale", "attack", {"sign_flip", "scale", "gaussian"}},
      {"noise_multiplier", "privacy", any_privacy},
      {"target_epsilon", "privacy", any_privacy},
      {"delta", "privacy", any_privacy},
      {"adaptive_clip", "privacy", any_privacy},
      {"clip_quantile", "adaptive_clip", {"true"}},
      {"clip_lr", "adaptive_clip", {"true"}},
      {"top_k", "compression", {"top_k"}},
      {"error_feedback", "compression", {"top_k", "int8", "sign"}},
  };
  return all;
}

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : " or ") + name;
  return text;
}

bool is_one_of(const std::string& name, std::initializer_list<const char*> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// A key that was changed where it has no effect would be believed to have one.
void check_belongings(const RunConfig& config, Rules& rules) {
  for (const auto& [name, owner, values] : belongings()) {
    const auto* option = find_option(cat("federated.", name));
    const auto* ruling = find_option(cat("federated.", owner));
    RN_CHECK(option != nullptr && ruling != nullptr, name, " of ", owner);
    const std::string now = format_value(ruling->get(config));
    const bool belongs = std::find(values.begin(), values.end(), now) != values.end();
    rules.require(belongs || option->get(config) == default_value(*option), {option->key(), ruling->key()},
                  "belongs to federated.", owner, ": ", join(values), ", not ", now, "; leave it out");
  }
}

void check_cohort(const RunConfig& config, Rules& rules) {
  const auto& fed = config.federated;
  const auto clients = static_cast<double>(fed.clients);
  const double wanted = fed.cohort < 1 ? std::max(1.0, std::round(fed.cohort * clients)) : fed.cohort;
  rules.require(fed.cohort < 1 || fed.cohort == std::floor(fed.cohort), {"federated.cohort"},
                format_number(fed.cohort), " is neither a share below 1 nor a whole number of clients");
  rules.require(wanted <= clients, {"federated.cohort", "federated.clients"}, format_number(fed.cohort),
                " clients of a round are more than federated.clients: ", fed.clients);
  rules.require(wanted > clients || std::ceil(wanted * fed.over_selection) <= clients,
                {"federated.over_selection", "federated.cohort", "federated.clients"},
                format_number(fed.over_selection),
                " times the cohort are more than federated.clients: ", fed.clients);
  rules.require(fed.sampling != "poisson" || fed.over_selection == 1,
                {"federated.over_selection", "federated.sampling"},
                "asks for a fixed cohort, poisson has none; leave it at 1");
  rules.require(
      fed.local_epochs_min == 0 || (fed.local_steps == 0 && fed.local_epochs_min <= fed.local_epochs),
      {"federated.local_epochs_min", "federated.local_epochs", "federated.local_steps"},
      "needs local_epochs of at least ", format_number(fed.local_epochs_min), " and no local_steps");
  rules.require(fed.local_steps == 0 || fed.local_epochs == 1,
                {"federated.local_epochs", "federated.local_steps"},
                "is given together with federated.local_steps: ", fed.local_steps, "; give one of them");
  rules.require(fed.partition != "file" || !fed.partition_file.empty(),
                {"federated.partition_file", "federated.partition"}, "is missing: partition: file reads it");
}

void check_algorithm(const RunConfig& config, Rules& rules) {
  const auto& fed = config.federated;
  const std::string& name = fed.algorithm;
  rules.require(!is_one_of(name, {"fedprox", "feddyn"}) || fed.mu > 0,
                {"federated.mu", "federated.algorithm"}, "must be above 0 with federated.algorithm: ", name,
                "; 0.01 is usual");
  rules.require(name != "feddyn" || fed.weighting == "uniform",
                {"federated.weighting", "federated.algorithm"},
                "feddyn averages its clients alike (Acar et al. 2021); set weighting: uniform");
  rules.require(name != "feddyn" || fed.server_lr == 1, {"federated.server_lr", "federated.algorithm"},
                "feddyn has no server learning rate; leave it at 1");
  rules.require(
      name != "fedsgd" || (fed.local_epochs == 1 && fed.local_steps == 0 && fed.local_epochs_min == 0),
      {"federated.local_epochs", "federated.local_steps", "federated.local_epochs_min",
       "federated.algorithm"},
      "fedsgd takes one gradient over all images of a client; leave local_epochs, local_epochs_min and "
      "local_steps out");
  rules.require(!is_one_of(name, {"scaffold", "fednova"}) || config.optimizer.lr > 0,
                {"optimizer.lr", "federated.algorithm"}, "must be above 0: ", name, " divides by it");
  // These keep more than a mean of updates, and what follows would speak of a part of it only.
  if (!is_one_of(name, {"scaffold", "fednova", "feddyn"})) return;
  const auto plain = [&](bool is_plain, const char* key) {
    rules.require(is_plain, {key, "federated.algorithm"}, "is not defined for federated.algorithm: ", name);
  };
  plain(fed.aggregation == "mean", "federated.aggregation");
  plain(fed.attack == "none", "federated.attack");
  plain(fed.privacy == "none", "federated.privacy");
  plain(fed.compression == "none", "federated.compression");
  plain(!fed.secure_aggregation, "federated.secure_aggregation");
}

// An asynchronous server has no rounds, and joins updates as they come.
void check_fedbuff(const RunConfig& config, Rules& rules) {
  const auto& fed = config.federated;
  if (fed.algorithm != "fedbuff") return;
  const auto refuse = [&](bool is_fine, const char* key, const auto&... why) {
    rules.require(is_fine, {key, "federated.algorithm"}, why...);
  };
  refuse(fed.buffer_size <= fed.clients, "federated.buffer_size", fed.buffer_size,
         " updates of different clients are more than federated.clients: ", fed.clients);
  refuse(fed.sampling != "poisson", "federated.sampling",
         "fedbuff keeps a fixed number of clients in flight; set uniform or by_size");
  refuse(fed.over_selection == 1, "federated.over_selection",
         "fedbuff waits for no cohort; a larger federated.cohort keeps more clients in flight");
  refuse(fed.round_deadline == 0, "federated.round_deadline",
         "fedbuff has no rounds; federated.max_staleness throws slow updates away");
  refuse(is_one_of(fed.aggregation, {"mean", "norm_clip"}), "federated.aggregation",
         "fedbuff weighs updates by their staleness, which ", fed.aggregation,
         " does not; set mean or norm_clip");
  refuse(fed.privacy == "none", "federated.privacy",
         "the accountant's sampling is that of rounds; fedbuff has none");
  refuse(!fed.secure_aggregation, "federated.secure_aggregation",
         "masks cancel within the cohort of a round; fedbuff has none");
}

void check_robustness_and_privacy(const RunConfig& config, Rules& rules) {
  const auto& fed = config.federated;
  const bool clips = fed.aggregation == "norm_clip" || fed.privacy != "none";
  rules.require(clips || fed.clip_update == 0,
                {"federated.clip_update", "federated.aggregation", "federated.privacy"},
                "belongs to federated.aggregation: norm_clip or federated.privacy; leave it out");
  rules.require(!clips || fed.clip_update > 0,
                {"federated.clip_update", "federated.aggregation", "federated.privacy"},
                "must be above 0: it is the bound that updates are cut to");
  const bool uses_byzantine = is_one_of(fed.aggregation, {"krum", "multi_krum"}) || fed.attack != "none";
  rules.require(uses_byzantine || fed.byzantine == 0,
                {"federated.byzantine", "federated.attack", "federated.aggregation"},
                "belongs to federated.attack and to krum; leave it out");
  rules.require(fed.byzantine <= fed.clients, {"federated.byzantine", "federated.clients"}, fed.byzantine,
                " are more than federated.clients: ", fed.clients);
  rules.require(
      fed.privacy == "none" || fed.weighting == "uniform", {"federated.weighting", "federated.privacy"},
      "a weight by samples tells how many images a client has: the guarantee of federated.privacy is "
      "for weighting: uniform");
  rules.require(fed.privacy == "none" || fed.aggregation == "mean",
                {"federated.aggregation", "federated.privacy"},
                "the guarantee of federated.privacy is for the mean; set aggregation: mean");
  rules.require(fed.privacy == "none" || fed.sampling != "by_size",
                {"federated.sampling", "federated.privacy"},
                "the guarantee of federated.privacy is for uniform or poisson sampling");
  rules.require(fed.privacy != "local" || !fed.adaptive_clip,
                {"federated.adaptive_clip", "federated.privacy"},
                "needs privacy: central: the bound follows a count that the server sees");
  rules.require(!fed.secure_aggregation || is_one_of(fed.aggregation, {"mean", "norm_clip"}),
                {"federated.secure_aggregation", "federated.aggregation"}, "shows the server sums only, and ",
                fed.aggregation, " needs single updates; set aggregation: mean");
}

void check_sections(const RunConfig& config, Rules& rules) {
  rules.require(config.train.batch_per_rank == 0, {"train.batch_per_rank", "run.mode"},
                "a client's batch does not depend on ranks; set train.global_batch");
  rules.require(config.train.accumulate_steps == 1, {"train.accumulate_steps", "run.mode"},
                "is not used in federated runs; leave it at 1");
  rules.require(config.train.precision != train::PrecisionChoice::kFP16, {"train.precision", "run.mode"},
                "fp16 needs loss scaling, which federated runs do not have; use bf16 or fp32");
  rules.require(!config.ema.enabled, {"ema.enabled", "run.mode"}, "is not used in federated runs");
  rules.require(!config.swa.enabled, {"swa.enabled", "run.mode"}, "is not used in federated runs");
  rules.require(!config.data.on_device, {"data.on_device", "run.mode"},
                "is not used in federated runs: clients take their images from the host");
  rules.require(!config.train.cuda_graph, {"train.cuda_graph", "run.mode"},
                "is not used in federated runs: a client's steps differ in size; leave it false");
  rules.require(config.model.norm != model::Norm::kSyncBatch, {"model.norm", "run.mode"},
                "a client trains alone, there is nothing to synchronise; use batch or group");
}

}  // namespace

void check_federated(const RunConfig& config, Rules& rules) {
  if (config.run.mode != Mode::kFederated) return;
  check_belongings(config, rules);
  check_cohort(config, rules);
  check_algorithm(config, rules);
  check_fedbuff(config, rules);
  check_robustness_and_privacy(config, rules);
  check_sections(config, rules);
}

}  // namespace rn::config
