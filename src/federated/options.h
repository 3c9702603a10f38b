// `federated:` of the configuration: how many clients train on which part of the data, and how the server
// joins them.
//
// The client's own optimizer is `optimizer:`, its batch `train.global_batch`, its precision
// `train.precision`.
#pragma once

#include <cstdint>
#include <string>

namespace rn::federated {

struct FederatedOptions {
  // Clients and rounds.
  std::int64_t rounds = 50;
  std::int64_t clients = 100;  // registered clients; the training images are divided among them
  double cohort = 10;  // clients per round (fedbuff: in flight): below 1 a share of all, from 1 a count
  std::string sampling = "uniform";  // uniform | by_size (both without replacement) | poisson
  double local_epochs = 1;           // of one client in one round
  std::int64_t local_steps = 0;      // instead of local_epochs; 0: by epochs
  double local_epochs_min = 0;  // > 0: each client draws its epochs from {local_epochs_min .. local_epochs}
  double local_lr_decay = 1.0;  // the client's learning rate is multiplied by it after every round

  // Partition: which images each client holds.
  std::string partition =
      "iid";           // iid | dirichlet_class | dirichlet_client | labels | shards | quantity | file
  double alpha = 0.5;  // dirichlet_*, quantity: concentration
  std::int64_t min_samples = 1;     // dirichlet_class, quantity: drawn again until every client has so many
  bool self_balancing = false;      // dirichlet_class: nothing more for a client that holds its even share
  std::int64_t client_samples = 0;  // dirichlet_client: images of each client; 0: all divided evenly
  std::int64_t labels_per_client = 2;
  std::int64_t shards_per_client = 2;
  std::string partition_file;  // partition: file

  // Who answers, and when (simulated time).
  double dropout = 0;           // probability that a chosen client never answers
  double straggler = 0;         // probability that a client does only a part of its local work
  double over_selection = 1;    // that many times the cohort is asked; the fastest count
  double round_deadline = 0;    // simulated seconds after which a client no longer counts; 0: none
  double client_speed = 1000;   // images per simulated second, the median over clients
  double speed_sigma = 0;       // of the logarithm of a client's speed (log-normal)
  double client_bandwidth = 0;  // bytes per simulated second, up and down alike; 0: transport takes no time

  // Server.
  std::string algorithm = "fedavg";  // fedavg | fedsgd | fedavgm | fedadagrad | fedadam | fedyogi | fedprox |
                                     // scaffold | fednova | feddyn | fedbuff
  std::string weighting = "samples";  // samples | uniform
  double server_lr = 1.0;
  double server_momentum = 0.9;  // fedavgm
  double beta1 = 0.9;            // fedadam, fedyogi (Reddi et al. 2020)
  double beta2 = 0.99;
  double tau = 1e-3;              // degree of adaptivity; the second moment starts at its square
  bool bias_correction = false;   // fedadam: as Flower, not as the paper
  double mu = 0;                  // fedprox, feddyn, fednova: weight of the proximal term
  std::int64_t buffer_size = 10;  // fedbuff: updates of a server step
  std::string staleness_weight = "inverse_sqrt";  // fedbuff: inverse_sqrt | none
  std::int64_t max_staleness = 0;  // fedbuff: server steps; what is older is thrown away; 0: no bound
  int scaffold_option = 2;         // 2: from the steps taken; 1: the gradient at the server's weights
  std::string norm_state =
      "average";             // average | local: running statistics; local_norms keeps whole norm layers local
  bool local_norms = false;  // FedBN (Li et al. 2021)

  // Robust aggregation, and attacks to try it with.
  std::string aggregation = "mean";  // mean | median | trimmed_mean | krum | multi_krum | norm_clip
  double trim = 0.1;                 // trimmed_mean: share cut at each end
  std::int64_t byzantine = 0;        // krum: tolerated; attack: clients that attack, of all
  std::int64_t krum_keep = 1;        // multi_krum: updates averaged
  double clip_update = 0;            // norm_clip and dp: L2 bound of a client's update
  std::string attack = "none";       // none | label_flip | sign_flip | scale | gaussian
  double attack_scale = 10;

  // Client-level differential privacy.
  std::string privacy = "none";   // none | central | local
  double noise_multiplier = 1.0;  // standard deviation of the sum's noise over the clip
  double target_epsilon = 0;      // > 0: the noise multiplier is computed for it
  double delta = 1e-5;
  bool adaptive_clip = false;  // Andrew et al. 2021
  double clip_quantile = 0.5;
  double clip_lr = 0.2;

  // Traffic.
  bool secure_aggregation = false;   // pairwise masks in a finite field, simulated
  std::string compression = "none";  // none | top_k | int8 | sign; updates on their way up
  double top_k = 0.01;               // share kept
  bool error_feedback = true;

  // The simulation.
  std::string on_bad_update = "skip";           // skip | stop: a non-finite or exploding update
  double explosion = 1e4;                       // an update's norm beyond this many times the weights' norm
  double client_state_mib = 1024;               // client state beyond it is spilled to the run folder
  std::int64_t eval_every_rounds = 1;           // 0: at the end only
  std::int64_t personal_eval_every_rounds = 0;  // 0: never; evaluation on each client's own data
  double personal_epochs = 0;                   // local fine-tuning before it
  std::int64_t checkpoint_every_rounds = 10;
};

}  // namespace rn::federated
