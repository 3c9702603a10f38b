#include "federated/partition_report.h"

#include <algorithm>
#include <cstdio>

#include "core/error.h"
#include "report/charts.h"
#include "report/svg_canvas.h"

namespace rn::federated {
namespace {

constexpr std::int64_t kFewClients = 40;   // a table of so many is still read
constexpr std::int64_t kShownOfMany = 20;  // else only so many stand there
constexpr std::int64_t kMostColumns = 100;

std::string number(double value, int digits = 0) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

std::string padded(const std::string& text, std::size_t width) {
  return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
}

struct Summary {
  std::vector<std::int64_t> sizes;  // ascending
  double largest_share = 0;         // mean over clients, in percent
  double classes_held = 0;          // mean
  std::int64_t fewest_classes = 0;
  std::int64_t most_classes = 0;
  std::int64_t images_held = 0;  // by anyone
};

Summary summarize(const Partition& partition, const LabelView& data) {
  Summary summary;
  summary.fewest_classes = data.classes;
  std::vector<bool> held(data.labels.size(), false);
  for (std::int64_t client = 0; client < partition.clients(); ++client) {
    const auto counts = class_counts(partition, client, data);
    const auto classes = std::ssize(counts) - std::count(counts.begin(), counts.end(), 0);
    const auto size = partition.size(client);
    summary.sizes.push_back(size);
    summary.largest_share += 100 * static_cast<double>(*std::max_element(counts.begin(), counts.end())) /
                             static_cast<double>(size);
    summary.classes_held += static_cast<double>(classes);
    summary.fewest_classes = std::min<std::int64_t>(summary.fewest_classes, classes);
    summary.most_classes = std::max<std::int64_t>(summary.most_classes, classes);
    for (const auto image : partition.of(client)) held[image] = true;
  }
  std::sort(summary.sizes.begin(), summary.sizes.end());
  const auto clients = static_cast<double>(partition.clients());
  summary.largest_share /= clients;
  summary.classes_held /= clients;
  summary.images_held = std::count(held.begin(), held.end(), true);
  return summary;
}

}  // namespace

std::string describe_partition(const FederatedOptions& options) {
  const auto& kind = options.partition;
  std::string text = kind;
  if (kind == "dirichlet_class" || kind == "dirichlet_client" || kind == "quantity") {
    text += cat(", alpha ", options.alpha);
  }
  if (kind == "dirichlet_class" && options.self_balancing) text += ", self-balancing";
  if (kind == "labels") text += cat(", ", options.labels_per_client, " a client");
  if (kind == "shards") text += cat(", ", options.shards_per_client, " a client");
  if (kind == "file") text += cat(" ", options.partition_file);
  return text;
}

std::string partition_table(const Partition& partition, const LabelView& data,
                            const std::vector<std::string>& class_names) {
  RN_CHECK(std::ssize(class_names) == data.classes, class_names.size(), " names");
  const auto summary = summarize(partition, data);
  const auto images = static_cast<std::int64_t>(data.labels.size());
  std::string text = cat(
      "clients   ", partition.clients(), "\nimages    ", summary.images_held, " of ", images,
      partition.total() > summary.images_held
          ? cat(", each held by ",
                number(static_cast<double>(partition.total()) / static_cast<double>(summary.images_held), 1),
                " clients on average")
          : std::string(),
      "\nsizes     ", summary.sizes.front(), " to ", summary.sizes.back(), ", median ",
      summary.sizes[summary.sizes.size() / 2], ", mean ",
      number(static_cast<double>(partition.total()) / static_cast<double>(partition.clients()), 1),
      "\nclasses   ", summary.fewest_classes, " to ", summary.most_classes, " of ", data.classes,
      " a client, mean ", number(summary.classes_held, 1), "; a client's largest class is ",
      number(summary.largest_share, 1), " % of its images on average\n\n  client   images");
  std::vector<std::size_t> widths;
  for (const auto& name : class_names) {
    widths.push_back(std::max<std::size_t>(name.size(), 6));
    text += "  " + padded(name, widths.back());
  }
  const bool few = partition.clients() <= kFewClients;
  const std::int64_t shown = few ? partition.clients() : kShownOfMany;
  for (std::int64_t client = 0; client < shown; ++client) {
    text +=
        cat('\n', padded(std::to_string(client), 8), ' ', padded(std::to_string(partition.size(client)), 8));
    const auto counts = class_counts(partition, client, data);
    for (std::size_t k = 0; k < counts.size(); ++k) {
      text += "  " + padded(counts[k] > 0 ? std::to_string(counts[k]) : "-", widths[k]);
    }
  }
  return text + (few ? "\n" : cat("\n     ... and ", partition.clients() - shown, " more\n"));
}

std::string partition_heat_map(const Partition& partition, const LabelView& data,
                               const std::vector<std::string>& class_names, const std::string& title) {
  RN_CHECK(std::ssize(class_names) == data.classes, class_names.size(), " names");
  const std::int64_t clients = partition.clients();
  const std::int64_t columns = std::min(clients, kMostColumns);
  report::HeatMap map;
  map.title = cat(title, ": ", report::chart_number(static_cast<double>(partition.total())), " images, ",
                  columns < clients ? cat(columns, " of ") : std::string(),
                  report::chart_number(static_cast<double>(clients)), clients == 1 ? " client" : " clients");
  map.column_label = "client";
  map.rows = class_names;
  map.value_label = "images";
  map.bar_label = "images";
  map.values.resize(class_names.size() * static_cast<std::size_t>(columns));
  for (std::int64_t column = 0; column < columns; ++column) {
    // One of each block of clients, not always its first: who holds which labels may repeat with the number.
    const std::int64_t first = column * clients / columns;
    const std::int64_t client = first + column % ((column + 1) * clients / columns - first);
    map.columns.push_back(client);
    map.bars.push_back(static_cast<double>(partition.size(client)));
    const auto counts = class_counts(partition, client, data);
    for (std::size_t k = 0; k < counts.size(); ++k) {
      map.values[k * static_cast<std::size_t>(columns) + static_cast<std::size_t>(column)] =
          static_cast<double>(counts[k]);
    }
  }
  return report::heat_map_svg(map);
}

}  // namespace rn::federated
