#include "app/federated_dry_run.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "app/dry_run.h"
#include "app/federated_setup.h"
#include "app/layer_table.h"
#include "app/setup.h"
#include "config/derived.h"
#include "core/error.h"
#include "dist/single_communicator.h"
#include "federated/algorithm.h"
#include "federated/client_row.h"
#include "federated/federated_state.h"
#include "federated/make_partition.h"
#include "federated/partition_report.h"
#include "federated/privacy.h"
#include "federated/schedule.h"
#include "model/flat_parameters.h"

namespace rn::app {
namespace {

using namespace federated;

constexpr double kMiB = 1024.0 * 1024.0;

// As far as the configuration tells: archives and pickles are read into memory after all.
bool stays_in_files(const data::DataOptions& options) {
  return options.storage != data::Storage::kMemory && options.dataset == "cifar10";
}

// Bytes of all tensors of a state.
class ByteCounter final : public train::StateVisitor {
 public:
  void storage(const std::string&, const std::string&, torch::Tensor& values) override { add(values); }
  void statistics(const std::string&, const std::string&, torch::Tensor& values) override { add(values); }
  void tensor(const std::string&, const std::string&, torch::Tensor& values) override { add(values); }
  void value(const std::string&, std::int64_t&) override {}
  void value(const std::string&, double&) override {}

  double bytes = 0;

 private:
  void add(const torch::Tensor& values) { bytes += static_cast<double>(values.nbytes()); }
};

// "50" or "13 / 49 / 212 (least, median, most)".
std::string spread(std::vector<std::int64_t> values) {
  std::sort(values.begin(), values.end());
  if (values.front() == values.back()) return cat(values.front());
  return cat(values.front(), " / ", values[values.size() / 2], " / ", values.back(),
             " (least, median, most)");
}

template <typename Number>
std::string mib(Number bytes) {
  return format_line("%.1f MiB", static_cast<double>(bytes) / kMiB);
}

// The sizes of the clients follow from those of the classes, which are equal in the whole of CIFAR-10. What a
// partition file says is not read.
std::vector<std::int64_t> planned_images(const config::RunConfig& config, const data::DatasetShape& images) {
  const auto& fed = config.federated;
  if (fed.partition == "file") {
    return std::vector<std::int64_t>(static_cast<std::size_t>(fed.clients),
                                     std::max<std::int64_t>(1, images.train / fed.clients));
  }
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(images.train));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    labels[i] = static_cast<std::uint8_t>(i % static_cast<std::size_t>(images.classes));
  }
  return client_images(make_partition(fed, {labels, images.classes}, config.run.seed));
}

// What of the sizes is an assumption.
std::string assumption(const FederatedOptions& fed) {
  if (fed.partition == "file") return "; taken as equal: partition_file is not read";
  const bool by_label = fed.partition == "labels" || fed.partition == "dirichlet_class";
  return by_label ? "; taking all classes as equally large, since labels are not read" : "";
}

}  // namespace

void print_federated_dry_run(const config::RunConfig& config, int world_size, std::ostream& out) {
  const auto& fed = config.federated;
  const data::DatasetShape dataset = data::expected_shape(config.data);
  const auto images = planned_images(config, dataset);

  dist::SingleCommunicator communicator;
  const auto net = make_network(config, dataset, communicator);
  const ModelCost cost = print_layers(*net, dataset, out);
  model::FlatParameters params(*net, communicator, kOneBucket);
  const auto precision = train::resolve_precision(config.train.precision, torch::kCPU);
  const LocalOptions local = local_options(config, precision);
  const data::ImageSet no_images{.height = dataset.height, .width = dataset.width};
  LocalTrainer trainer(*net, params, no_images, dataset.classes, local);
  const auto algorithm = make_algorithm(fed, config.optimizer, params, trainer);
  const CohortSampler wanted(fed, {images, local.batch, local.drop_last, 0, 0}, config.run.seed);
  const PrivacyAccount privacy(fed, wanted.wanted());
  const UpdatePipeline pipeline(fed, params, config.run.seed, privacy.noise_multiplier());
  const CohortShape shape = cohort_shape(config, images, params, pipeline);
  const CohortSampler cohorts(fed, shape, config.run.seed);
  const ClientRow row{algorithm->client_state_size(), pipeline.residual_size(),
                      LocalNorms(fed, *net, params)};
  FederatedState state(params, *algorithm, fed, cohorts);

  const bool is_async = fed.algorithm == "fedbuff";
  const Cohort cohort = first_cohort(fed, cohorts);
  std::vector<std::int64_t> steps, work;
  for (const Participant& part : cohort.participants) {
    steps.push_back(part.steps);
    work.push_back(part.images);
  }
  const auto trained = static_cast<double>(std::accumulate(work.begin(), work.end(), std::int64_t{0}));
  const RankSchedule schedule = longest_first(work, world_size);

  const double storage = static_cast<double>(params.weights.nbytes());
  ByteCounter server;
  state.walk(server);
  const double row_bytes =
      static_cast<double>(row.size()) * static_cast<double>(params.weights.element_size());
  const double versions =
      is_async ? storage * static_cast<double>(fed.max_staleness > 0
                                                   ? std::min(fed.max_staleness, cohorts.wanted())
                                                   : cohorts.wanted())
               : 0;
  // Weights, gradient and momentum of the resident model; the mean and its float64 sum.
  const double model_bytes = 3 * storage + server.bytes + 3 * storage * (algorithm->sums_variates() ? 2 : 1);
  const double image_bytes = stays_in_files(config.data) ? 0
                                                         : 3.0 * dataset.height * dataset.width *
                                                               static_cast<double>(dataset.images());
  const double activation_bytes =
      static_cast<double>(cost.activations * std::max(local.batch, eval_options(config, torch::kCPU).batch)) *
      (precision == train::Precision::kFP32 ? 4.0 : 2.0);
  const double row_limit = fed.client_state_mib * kMiB;
  const double all_rows = row_bytes * static_cast<double>(fed.clients);

  const std::string unit = is_async ? "server step" : "round";
  out << '\n'
      << "parameters      " << cost.parameters << ", running statistics " << params.statistics.numel() << '\n'
      << "images          " << describe_images(dataset) << '\n'
      << "clients         " << fed.clients << " (" << describe_partition(fed) << "), images of each "
      << spread(images) << assumption(fed) << '\n'
      << "cohort          " << cohorts.wanted()
      << (is_async ? cat(" in flight, ", fed.buffer_size, " updates make a server step") : " a round") << " ("
      << fed.sampling << ")\n"
      << "local steps     " << (steps.empty() ? "0" : spread(steps)) << " of a client, batch " << local.batch
      << "; " << std::accumulate(steps.begin(), steps.end(), std::int64_t{0}) << " in the first " << unit
      << '\n'
      << "traffic         " << mib(cohort.asked * shape.bytes_down) << " down and "
      << mib(cohort.received * shape.bytes_up) << " up in the first " << unit << "; of a client "
      << mib(shape.bytes_down) << " and " << mib(shape.bytes_up) << '\n'
      << "client state    "
      << (row_bytes == 0 ? std::string("none")
                         : cat(mib(row_bytes), " per client that has taken part, at most ", mib(all_rows),
                               ", of which a rank keeps ", mib(std::min(all_rows, row_limit)), " in memory"))
      << '\n'
      << format_line("compute         %.4g GFLOP per training image, %.4g TFLOP in the first %s\n",
                     cost.training_flops() / 1e9, cost.training_flops() * trained / 1e12, unit.c_str())
      << "ranks           " << world_size << ": at most " << (work.empty() ? 0 : schedule.longest())
      << " images on one in the first " << unit << ", " << static_cast<int>(100 * schedule.idle_share())
      << " % of their time idle by plan\n"
      << "precision       " << train::name_of(precision) << " on this machine's CPU\n"
      << "memory          about "
      << mib(model_bytes + versions + image_bytes + activation_bytes + std::min(all_rows, row_limit))
      << " per rank beside LibTorch: "
      << (image_bytes > 0 ? mib(image_bytes) + " images, " : "images in their files, ") << mib(model_bytes)
      << " model, server and sums, " << mib(activation_bytes) << " activations"
      << (versions > 0 ? cat(", at most ", mib(versions), " older weights") : "")
      << (row_bytes > 0 ? cat(", at most ", mib(std::min(all_rows, row_limit)), " client state") : "")
      << '\n';
  if (privacy.enabled()) {
    out << format_line("privacy         epsilon %.4g at delta %g after all rounds, noise multiplier %.4g\n",
                       privacy.epsilon(fed.rounds), fed.delta, privacy.noise_multiplier());
  }
  out << "rounds          " << fed.rounds << (is_async ? " server steps\n" : "\n") << "run folder      "
      << config::run_folder(config) << '\n';
}

}  // namespace rn::app
