// The option table: federated.
#include "config/option_builder.h"

namespace rn::config::detail {
namespace {

using federated::FederatedOptions;
using Builder = SectionBuilder<FederatedOptions>;

constexpr double kMostClients = 1e8;
constexpr double kMostRounds = 1e7;

void add_clients(Builder& section) {
  section.integer("rounds", &FederatedOptions::rounds, "Rounds of the run.", between(1, kMostRounds))
      .identity = false;
  section.integer("clients", &FederatedOptions::clients,
                  "Registered clients; the training images are divided among them.",
                  between(1, kMostClients));
  section.number("cohort", &FederatedOptions::cohort,
                 "Clients of a round (fedbuff: in flight): below 1 a share of all clients, from 1 a count.",
                 positive(kMostClients));
  section.one_of("sampling", &FederatedOptions::sampling,
                 "How they are drawn: uniform or by_size (in proportion to a client's images), both without "
                 "replacement, or poisson: each client by itself with probability cohort / clients.",
                 {"uniform", "by_size", "poisson"});
  section.number("local_epochs", &FederatedOptions::local_epochs,
                 "Passes of a client over its images in one round, fractions allowed.", positive(1000));
  section.integer("local_steps", &FederatedOptions::local_steps,
                  "Instead of local_epochs: optimizer steps of a client in one round; 0: not used.",
                  between(0, 1e9));
  section.number(
      "local_epochs_min", &FederatedOptions::local_epochs_min,
      "Above 0: each client draws its whole number of epochs from local_epochs_min to local_epochs in "
      "every round.",
      between(0, 1000));
  section.number("local_lr_decay", &FederatedOptions::local_lr_decay,
                 "The clients' learning rate is multiplied by it after every round.", positive(1));
}

void add_partition(Builder& section) {
  section.one_of(
      "partition", &FederatedOptions::partition,
      "Who holds which images: iid; dirichlet_class divides each class by Dirichlet shares (NIID-Bench, "
      "Flower); dirichlet_client draws each client's labels (Hsu et al. 2019, pfl-research); labels "
      "gives each client labels_per_client; shards deals blocks sorted by label (McMahan et al. 2017); "
      "quantity skews the sizes; file reads partition_file.",
      {"iid", "dirichlet_class", "dirichlet_client", "labels", "shards", "quantity", "file"});
  section.number("alpha", &FederatedOptions::alpha,
                 "dirichlet_class, dirichlet_client, quantity: concentration; the smaller, the more unequal.",
                 positive(1e9));
  section.integer("min_samples", &FederatedOptions::min_samples,
                  "dirichlet_class, quantity: drawn again until every client has so many images.",
                  between(1, kMostImages));
  section.flag("self_balancing", &FederatedOptions::self_balancing,
               "dirichlet_class: a client that holds its even share gets no images of the classes to come.");
  section.integer("client_samples", &FederatedOptions::client_samples,
                  "iid, dirichlet_client: images of each client; 0: all, divided evenly.",
                  between(0, kMostImages));
  section.integer("labels_per_client", &FederatedOptions::labels_per_client,
                  "labels: classes of each client.", between(1, 256));
  section.integer("shards_per_client", &FederatedOptions::shards_per_client, "shards: blocks of each client.",
                  between(1, 1e6));
  section.text("partition_file", &FederatedOptions::partition_file,
               "file: a partition as `rn_dist split` writes it.");
}

void add_answers(Builder& section) {
  section.number("dropout", &FederatedOptions::dropout, "Probability that a chosen client never answers.",
                 {.min = 0, .max = 1, .max_excluded = true});
  section.number("straggler", &FederatedOptions::straggler,
                 "Probability that a client does only a random part of its local steps.", between(0, 1));
  section.number("over_selection", &FederatedOptions::over_selection,
                 "So many times the cohort is asked; the fastest to answer count.", between(1, 100));
  section.number("round_deadline", &FederatedOptions::round_deadline,
                 "Simulated seconds after which an answer no longer counts; 0: none.", at_least(0));
  section.number("client_speed", &FederatedOptions::client_speed,
                 "Images per simulated second of a client, the median over clients.", above(0));
  section.number("speed_sigma", &FederatedOptions::speed_sigma,
                 "Standard deviation of the logarithm of a client's speed (log-normal).", between(0, 10));
  section.number("client_bandwidth", &FederatedOptions::client_bandwidth,
                 "Bytes per simulated second, up and down alike; 0: transport takes no time.", at_least(0));
}

void add_server(Builder& section) {
  section.one_of("algorithm", &FederatedOptions::algorithm,
                 "What clients and server compute; docs/federated.md.",
                 {"fedavg", "fedsgd", "fedavgm", "fedadagrad", "fedadam", "fedyogi", "fedprox", "scaffold",
                  "fednova", "feddyn", "fedbuff"});
  section.one_of("weighting", &FederatedOptions::weighting,
                 "Weights of the clients in the mean: samples is by their images.", {"samples", "uniform"});
  section.number("server_lr", &FederatedOptions::server_lr, "Server learning rate.", above(0));
  section.number("server_momentum", &FederatedOptions::server_momentum, "fedavgm: momentum of the server.",
                 {.min = 0, .max = 1, .max_excluded = true});
  section.number("beta1", &FederatedOptions::beta1,
                 "fedadagrad, fedadam, fedyogi: decay of the first moment (Reddi et al. 2020).",
                 {.min = 0, .max = 1, .max_excluded = true});
  section.number("beta2", &FederatedOptions::beta2, "fedadam, fedyogi: decay of the second moment.",
                 {.min = 0, .max = 1, .max_excluded = true});
  section.number(
      "tau", &FederatedOptions::tau,
      "fedadagrad, fedadam, fedyogi: degree of adaptivity; the second moment starts at its square.",
      above(0));
  section.flag("bias_correction", &FederatedOptions::bias_correction,
               "fedadam: moments from zero and a corrected rate, as Flower computes it, not the paper.");
  section.number("mu", &FederatedOptions::mu,
                 "fedprox, fednova: weight of the proximal term; feddyn: alpha of the paper.", at_least(0));
  section.integer("buffer_size", &FederatedOptions::buffer_size,
                  "fedbuff: updates that make a server step (K of Nguyen et al. 2022); cohort clients are in "
                  "flight.",
                  between(1, kMostClients));
  section.one_of("staleness_weight", &FederatedOptions::staleness_weight,
                 "fedbuff: factor on an update that is s server steps old: 1 / sqrt(1 + s), or 1.",
                 {"inverse_sqrt", "none"});
  section.integer("max_staleness", &FederatedOptions::max_staleness,
                  "fedbuff: updates that are more server steps old are thrown away; 0: no bound.",
                  between(0, kMostRounds));
  section.integer(
      "scaffold_option", &FederatedOptions::scaffold_option,
      "scaffold: a client's variate from the steps it took (2) or from the gradient at the server's "
      "weights (1).",
      between(1, 2));
  section.one_of("norm_state", &FederatedOptions::norm_state,
                 "Running statistics of batch norms: averaged by the server, or each client keeps its own.",
                 {"average", "local"});
  section.flag("local_norms", &FederatedOptions::local_norms,
               "FedBN (Li et al. 2021): weights and biases of norm layers stay with the clients too.");
}

void add_robustness(Builder& section) {
  section.one_of(
      "aggregation", &FederatedOptions::aggregation,
      "How updates are joined: their mean, or one that hostile clients cannot steer; norm_clip is the "
      "mean of updates cut to clip_update.",
      {"mean", "median", "trimmed_mean", "krum", "multi_krum", "norm_clip"});
  section.number("trim", &FederatedOptions::trim, "trimmed_mean: share of the values cut off at each end.",
                 {.min = 0, .max = 0.5, .max_excluded = true});
  section.integer(
      "byzantine", &FederatedOptions::byzantine,
      "krum, multi_krum: hostile updates tolerated in a round; attack: clients that attack, of all.",
      between(0, kMostClients));
  section.integer("krum_keep", &FederatedOptions::krum_keep, "multi_krum: updates that are averaged.",
                  between(1, kMostClients));
  section.number("clip_update", &FederatedOptions::clip_update,
                 "norm_clip, privacy: largest L2 norm of a client's update.", at_least(0));
  section.one_of(
      "attack", &FederatedOptions::attack,
      "What hostile clients do: train on labels turned over, or send their update with the other sign, "
      "scaled, or noise instead.",
      {"none", "label_flip", "sign_flip", "scale", "gaussian"});
  section.number("attack_scale", &FederatedOptions::attack_scale,
                 "sign_flip, scale, gaussian: factor on the update.", above(0));
}

void add_privacy(Builder& section) {
  section.one_of(
      "privacy", &FederatedOptions::privacy,
      "Client-level differential privacy: central adds noise to the clipped sum, local to each clipped "
      "update.",
      {"none", "central", "local"});
  section.number("noise_multiplier", &FederatedOptions::noise_multiplier,
                 "privacy: standard deviation of the noise over clip_update.", at_least(0));
  section.number("target_epsilon", &FederatedOptions::target_epsilon,
                 "privacy: above 0, noise_multiplier is computed for this epsilon after all rounds.",
                 at_least(0));
  section.number("delta", &FederatedOptions::delta, "privacy: delta of the guarantee.",
                 {.min = 0, .max = 1, .min_excluded = true, .max_excluded = true});
  section.flag("adaptive_clip", &FederatedOptions::adaptive_clip,
               "privacy: clip_update is where it starts, and follows clip_quantile (Andrew et al. 2021).");
  section.number("clip_quantile", &FederatedOptions::clip_quantile,
                 "adaptive_clip: share of updates that the bound is to leave whole.", between(0, 1));
  section.number("clip_lr", &FederatedOptions::clip_lr, "adaptive_clip: how fast the bound follows.",
                 above(0));
}

void add_traffic(Builder& section) {
  section.flag("secure_aggregation", &FederatedOptions::secure_aggregation,
               "Simulate pairwise masks: sums in a finite field, shares of clients that drop out.");
  section.one_of("compression", &FederatedOptions::compression, "Compression of updates on their way up.",
                 {"none", "top_k", "int8", "sign"});
  section.number("top_k", &FederatedOptions::top_k, "top_k: share of the elements that is sent.",
                 positive(1));
  section.flag("error_feedback", &FederatedOptions::error_feedback,
               "compression: a client adds what it left out to its next update.");
}

// What changes no number of the run.
void add_simulation(std::vector<Option>& table) {
  Builder section(table, "federated", &RunConfig::federated, true);
  section.one_of(
      "on_bad_update", &FederatedOptions::on_bad_update,
      "A non-finite or exploding update: leave the client out of the round, or end the run (exit 5).",
      {"skip", "stop"});
  section.number("explosion", &FederatedOptions::explosion,
                 "An update explodes where its norm is more than so many times that of the weights.",
                 above(0));
  Builder observer(table, "federated", &RunConfig::federated, false);
  observer.number("client_state_mib", &FederatedOptions::client_state_mib,
                  "Memory of a rank for the clients' own state; what is beyond lies in the run folder.",
                  at_least(0));
  observer.integer("eval_every_rounds", &FederatedOptions::eval_every_rounds,
                   "Rounds between two evaluations; 0: at the end only.", between(0, kMostRounds));
  observer.integer("personal_eval_every_rounds", &FederatedOptions::personal_eval_every_rounds,
                   "Rounds between two evaluations on each client's own images; 0: never.",
                   between(0, kMostRounds));
  observer.number("personal_epochs", &FederatedOptions::personal_epochs,
                  "Local epochs before an evaluation on a client's own images.", between(0, 1000));
  observer.integer("checkpoint_every_rounds", &FederatedOptions::checkpoint_every_rounds,
                   "Rounds between two checkpoints; 0: at the end only.", between(0, kMostRounds));
}

}  // namespace

void add_federated_options(std::vector<Option>& table) {
  Builder section(table, "federated", &RunConfig::federated, true);
  add_clients(section);
  add_partition(section);
  add_answers(section);
  add_server(section);
  add_robustness(section);
  add_privacy(section);
  add_traffic(section);
  add_simulation(table);
}

}  // namespace rn::config::detail
