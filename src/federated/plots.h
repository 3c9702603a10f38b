// The run folder's plots/: SVG files for browsers and papers.
#pragma once

#include <string>
#include <vector>

#include "federated/options.h"
#include "federated/partition_report.h"

namespace rn::federated {

// plots/split.svg: clients by classes. A plot that cannot be written is warned about and changes nothing.
void plot_partition(const std::string& run_dir, const FederatedOptions& options, const Partition& partition,
                    const LabelView& data, const std::vector<std::string>& class_names);

// The curves per round, see run_charts.h.
void plot_rounds(const std::string& run_dir);

// plots/clients.svg: the distribution of the clients' accuracies, in percent.
void plot_clients(const std::string& run_dir, const std::vector<double>& top1);

}  // namespace rn::federated
