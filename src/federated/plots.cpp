#include "federated/plots.h"

#include <exception>

#include "core/error.h"
#include "core/log.h"
#include "federated/run_charts.h"
#include "io/atomic_file.h"
#include "io/file_system.h"
#include "report/charts.h"

namespace rn::federated {
namespace {

void write(const std::string& run_dir, const std::string& name, const std::string& svg) {
  try {
    auto& files = io::posix_file_system();
    files.make_directory(run_dir + "/plots");
    io::write_file_atomically(files, cat(run_dir, "/plots/", name, ".svg"), svg);
  } catch (const std::exception& error) {
    log_warning("a plot is not written: ", error.what());
  }
}

}  // namespace

void plot_partition(const std::string& run_dir, const FederatedOptions& options, const Partition& partition,
                    const LabelView& data, const std::vector<std::string>& class_names) {
  write(run_dir, "split", partition_heat_map(partition, data, class_names, describe_partition(options)));
}

void plot_rounds(const std::string& run_dir) {
  try {
    write_run_charts(io::posix_file_system(), run_dir);
  } catch (const std::exception& error) {
    log_warning("the plots of the rounds are not written: ", error.what());
  }
}

void plot_clients(const std::string& run_dir, const std::vector<double>& top1) {
  write(run_dir, "clients",
        report::histogram_svg({"Accuracy of the clients on their own images", "top-1 %", "clients", top1}));
}

}  // namespace rn::federated
