#include "app/split_command.h"

#include <vector>

#include "config/command_line.h"
#include "core/error.h"
#include "data/dataset.h"
#include "dist/launch_env.h"
#include "federated/make_partition.h"
#include "federated/partition_file.h"
#include "federated/partition_report.h"
#include "io/atomic_file.h"

namespace rn::app {
namespace {

constexpr const char* kHelp = R"(usage: rn_dist split CONFIG.yaml [key=value ...] [--out FOLDER]

Prints which client of a federated run holds how many images of which class, and writes into FOLDER (default
splits/<run.name>)
  partition.txt   the partition; federated.partition=file federated.partition_file=... reads it
  partition.svg   clients by classes
)";

struct SplitArguments {
  std::vector<std::string> configuration;  // the file and key=value
  std::string out;
  bool help = false;
};

SplitArguments parse(std::span<const std::string> args) {
  SplitArguments parsed;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (args[i] == "--help") {
      parsed.help = true;
    } else if (args[i] == "--out") {
      if (++i == args.size()) throw ConfigError("split: --out needs a folder");
      parsed.out = args[i];
    } else if (args[i].starts_with("--out=")) {
      parsed.out = args[i].substr(6);
    } else if (args[i].starts_with("--")) {
      throw ConfigError(cat("split: unknown option ", args[i], "\n", kHelp));
    } else {
      parsed.configuration.push_back(args[i]);
    }
  }
  return parsed;
}

}  // namespace

int run_split_command(std::span<const std::string> args, std::ostream& out) {
  const auto arguments = parse(args);
  if (dist::read_launch_env().rank != 0) return 0;
  if (arguments.help) {
    out << kHelp;
    return 0;
  }
  if (arguments.configuration.empty()) throw ConfigError(cat("split: no configuration\n", kHelp));
  const auto config = config::load_config(config::parse_command(arguments.configuration)).config;
  if (config.run.mode != config::Mode::kFederated) {
    throw ConfigError("split: run.mode: train has no clients; set run.mode: federated");
  }
  const auto dataset = data::open_dataset(config.data, config.run.seed);
  const federated::LabelView labels = {dataset->train.labels, static_cast<int>(dataset->classes.size())};
  const auto partition = federated::make_partition(config.federated, labels, config.run.seed);
  const std::string title = federated::describe_partition(config.federated);

  const std::string folder = arguments.out.empty() ? "splits/" + config.run.name : arguments.out;
  auto& files = io::posix_file_system();
  files.make_directory(folder);
  federated::save_partition(files, folder + "/partition.txt", partition, labels);
  io::write_file_atomically(files, folder + "/partition.svg",
                            federated::partition_heat_map(partition, labels, dataset->classes, title));
  out << "partition " << title << ", seed " << config.run.seed << '\n'
      << federated::partition_table(partition, labels, dataset->classes) << "\nwritten   " << folder
      << "/partition.txt (for federated.partition: file) and partition.svg\n";
  return 0;
}

}  // namespace rn::app
