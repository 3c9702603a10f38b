#include "federated/make_partition.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/random.h"
#include "federated/distributions.h"
#include "federated/image_pool.h"
#include "federated/partition_file.h"

namespace rn::federated {
namespace {

using Images = std::vector<std::uint32_t>;

// Streams of Purpose::kPartition besides (attempt, class or client).
constexpr std::uint64_t kPoolStream = UINT64_MAX;         // (this, class): the order in which a pool is dealt
constexpr std::uint64_t kClientStream = kPoolStream - 1;  // (this, client): label distributions and classes
constexpr std::uint64_t kDealStream = kPoolStream - 2;    // (this, 0): which client gets which shard

CounterRandom stream(std::uint64_t seed, std::uint64_t a, std::uint64_t b) {
  return CounterRandom(seed, Purpose::kPartition, a, b);
}

// Collects (client, image) pairs in any order.
class Assignments {
 public:
  void give(std::int64_t client, std::uint32_t image) {
    pairs_.push_back((static_cast<std::uint64_t>(client) << 32) | image);
  }
  Partition partition(std::int64_t clients) {
    std::sort(pairs_.begin(), pairs_.end());
    Images indices(pairs_.size());
    std::vector<std::int64_t> offsets(static_cast<std::size_t>(clients) + 1, 0);
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      indices[i] = static_cast<std::uint32_t>(pairs_[i]);
      ++offsets[(pairs_[i] >> 32) + 1];
    }
    std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
    return Partition(std::move(indices), std::move(offsets));
  }

 private:
  std::vector<std::uint64_t> pairs_;
};

std::vector<Images> images_by_class(const LabelView& data) {
  std::vector<Images> by_class(static_cast<std::size_t>(data.classes));
  for (std::size_t i = 0; i < data.labels.size(); ++i) {
    by_class[data.labels[i]].push_back(static_cast<std::uint32_t>(i));
  }
  return by_class;
}

Images all_images(const LabelView& data) {
  Images images(data.labels.size());
  std::iota(images.begin(), images.end(), 0U);
  return images;
}

// The first item of part `part` when `items` are cut into `parts` parts that differ by one at most.
std::int64_t cut(std::int64_t items, std::int64_t part, std::int64_t parts) { return items * part / parts; }

std::int64_t image_count(const LabelView& data) { return static_cast<std::int64_t>(data.labels.size()); }

// Where n items are cut by these shares: the end of each part; the last is n whatever the rounding.
std::vector<std::int64_t> cuts_of(std::span<const double> shares, std::int64_t n) {
  std::vector<std::int64_t> ends(shares.size());
  double sum = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    sum += shares[i];
    ends[i] = std::min(n, static_cast<std::int64_t>(sum * static_cast<double>(n)));
  }
  ends.back() = n;
  return ends;
}

// Draws sizes by `draw(attempt)` until each is at least min_samples.
template <typename Draw>
auto until_all_have_enough(const FederatedOptions& options, std::int64_t draws_per_attempt,
                           const Draw& draw) {
  constexpr std::int64_t kMostAttempts = 1000;
  constexpr std::int64_t kMostDraws = 20'000'000;  // some two seconds
  const auto attempts = std::clamp<std::int64_t>(kMostDraws / draws_per_attempt, 10, kMostAttempts);
  std::int64_t best = 0;
  for (std::int64_t attempt = 0; attempt < attempts; ++attempt) {
    auto [drawn, smallest] = draw(static_cast<std::uint64_t>(attempt));
    if (smallest >= std::max<std::int64_t>(1, options.min_samples)) return drawn;
    best = std::max(best, smallest);
  }
  throw ConfigError(cat("federated.partition: ", options.partition, " with alpha ", options.alpha, " gives ",
                        options.clients, " clients never at least ", options.min_samples,
                        " images each: the best of ", attempts, " draws left a client with ", best,
                        ". Take a larger federated.alpha, fewer federated.clients, a smaller "
                        "federated.min_samples, or partition: dirichlet_client, where sizes are fixed"));
}

void check_enough_images(const FederatedOptions& options, std::int64_t images, std::int64_t needed,
                         std::string_view why) {
  if (needed <= images) return;
  throw ConfigError(cat("federated.partition: ", options.partition, " needs ", needed, " images (", why,
                        "), the training set has ", images));
}

// iid and dirichlet_client: images of each client.
std::int64_t size_of(const FederatedOptions& options, std::int64_t images, std::int64_t client) {
  if (options.client_samples > 0) return options.client_samples;
  return cut(images, client + 1, options.clients) - cut(images, client, options.clients);
}

void check_client_sizes(const FederatedOptions& options, std::int64_t images) {
  if (options.client_samples == 0) {
    check_enough_images(options, images, options.clients,
                        "one per client; with federated.client_samples clients may share images");
  }
  check_enough_images(options, images, options.client_samples, "federated.client_samples of one client");
}

bool clients_share_images(const FederatedOptions& options, std::int64_t images) {
  return options.client_samples > 0 && options.client_samples > images / options.clients;
}

// Deals to the clients one after another: `take(client)` gives the next image of the present client.
template <typename Take>
Partition dealt_in_turn(const FederatedOptions& options, std::int64_t images, std::vector<ImagePool>& pools,
                        const Take& take) {
  Images indices;
  std::vector<std::int64_t> offsets = {0};
  indices.reserve(static_cast<std::size_t>(
      options.client_samples > 0 ? options.clients * options.client_samples : images));
  offsets.reserve(static_cast<std::size_t>(options.clients) + 1);
  for (std::int64_t client = 0; client < options.clients; ++client) {
    for (auto& pool : pools) pool.begin_client();
    take(client, size_of(options, images, client), indices);
    offsets.push_back(static_cast<std::int64_t>(indices.size()));
  }
  return Partition(std::move(indices), std::move(offsets));
}

Partition iid(const FederatedOptions& options, const LabelView& data, std::uint64_t seed) {
  const std::int64_t images = image_count(data);
  check_client_sizes(options, images);
  std::vector<ImagePool> pools;
  pools.emplace_back(all_images(data), stream(seed, kPoolStream, 0), clients_share_images(options, images));
  return dealt_in_turn(options, images, pools, [&](std::int64_t, std::int64_t size, Images& indices) {
    for (std::int64_t i = 0; i < size; ++i) indices.push_back(pools.front().take());
  });
}

// Draws the classes of one client's images by its label distribution over the classes that are left, or,
// where that has no weight on any of these, one of them at random.
class ClassDraws {
 public:
  ClassDraws(CounterRandom& random, std::vector<double>& shares, const std::vector<ImagePool>& pools)
      : random_(random), shares_(shares), pools_(pools) {
    add_up();
  }

  std::size_t next() {
    for (;;) {
      const std::size_t drawn = draw();
      if (!pools_[drawn].empty()) return drawn;
      shares_[drawn] = 0;
      add_up();
    }
  }

 private:
  void add_up() {
    sum_ = std::accumulate(shares_.begin(), shares_.end(), 0.0);
    if (sum_ > 0) return;
    for (std::size_t k = 0; k < pools_.size(); ++k) sum_ += shares_[k] = pools_[k].empty() ? 0.0 : 1.0;
  }

  std::size_t draw() {
    double left = random_.uniform() * sum_;
    std::size_t last = 0;
    for (std::size_t k = 0; k < shares_.size(); ++k) {
      if (shares_[k] <= 0) continue;
      last = k;
      left -= shares_[k];
      if (left < 0) break;
    }
    return last;
  }

  CounterRandom& random_;
  std::vector<double>& shares_;
  const std::vector<ImagePool>& pools_;
  double sum_ = 0;
};

Partition dirichlet_client(const FederatedOptions& options, const LabelView& data, std::uint64_t seed) {
  const std::int64_t images = image_count(data);
  check_client_sizes(options, images);
  std::vector<ImagePool> pools;
  for (auto& of_class : images_by_class(data)) {
    pools.emplace_back(std::move(of_class), stream(seed, kPoolStream, pools.size()),
                       clients_share_images(options, images));
  }
  std::vector<double> shares(pools.size());
  return dealt_in_turn(options, images, pools, [&](std::int64_t client, std::int64_t size, Images& indices) {
    auto random = stream(seed, kClientStream, static_cast<std::uint64_t>(client));
    dirichlet_draw(random, options.alpha, shares);
    ClassDraws classes(random, shares, pools);
    for (std::int64_t i = 0; i < size; ++i) indices.push_back(pools[classes.next()].take());
  });
}

// Clients that hold their even share of all images get nothing of this class.
void leave_out_full_clients(const std::vector<std::int64_t>& held, std::int64_t images,
                            std::vector<double>& shares) {
  const auto clients = static_cast<std::int64_t>(held.size());
  double sum = 0;
  for (std::size_t c = 0; c < held.size(); ++c) {
    if (held[c] * clients < images) sum += shares[c];
  }
  if (sum <= 0) return;
  for (std::size_t c = 0; c < held.size(); ++c) {
    shares[c] = held[c] * clients < images ? shares[c] / sum : 0.0;
  }
}

Partition dirichlet_class(const FederatedOptions& options, const LabelView& data, std::uint64_t seed) {
  const std::int64_t images = image_count(data);
  const auto clients = static_cast<std::size_t>(options.clients);
  check_enough_images(options, images, options.clients * std::max<std::int64_t>(1, options.min_samples),
                      "federated.min_samples of every client");
  auto by_class = images_by_class(data);
  const auto draw = [&](std::uint64_t attempt) {
    std::vector<std::vector<std::int64_t>> ends;  // [classes][clients]: where each class is cut
    std::vector<std::int64_t> held(clients, 0);
    std::vector<double> shares(clients);
    for (std::size_t k = 0; k < by_class.size(); ++k) {
      auto random = stream(seed, attempt, k);
      dirichlet_draw(random, options.alpha, shares);
      if (options.self_balancing) leave_out_full_clients(held, images, shares);
      ends.push_back(cuts_of(shares, static_cast<std::int64_t>(by_class[k].size())));
      for (std::size_t c = 0; c < clients; ++c) held[c] += ends[k][c] - (c > 0 ? ends[k][c - 1] : 0);
    }
    return std::pair(std::move(ends), *std::min_element(held.begin(), held.end()));
  };
  const auto ends = until_all_have_enough(options, options.clients * data.classes, draw);
  Assignments assignments;
  for (std::size_t k = 0; k < by_class.size(); ++k) {
    auto random = stream(seed, kPoolStream, k);
    shuffle(random, by_class[k]);
    std::size_t client = 0;
    for (std::size_t i = 0; i < by_class[k].size(); ++i) {
      while (static_cast<std::int64_t>(i) >= ends[k][client]) ++client;
      assignments.give(static_cast<std::int64_t>(client), by_class[k][i]);
    }
  }
  return assignments.partition(options.clients);
}

Partition quantity(const FederatedOptions& options, const LabelView& data, std::uint64_t seed) {
  const std::int64_t images = image_count(data);
  check_enough_images(options, images, options.clients * std::max<std::int64_t>(1, options.min_samples),
                      "federated.min_samples of every client");
  const auto draw = [&](std::uint64_t attempt) {
    auto random = stream(seed, attempt, 0);
    std::vector<double> shares(static_cast<std::size_t>(options.clients));
    dirichlet_draw(random, options.alpha, shares);
    std::vector<std::int64_t> offsets = {0};
    for (const auto end : cuts_of(shares, images)) offsets.push_back(end);
    std::int64_t smallest = images;
    for (std::size_t c = 1; c < offsets.size(); ++c)
      smallest = std::min(smallest, offsets[c] - offsets[c - 1]);
    return std::pair(std::move(offsets), smallest);
  };
  auto offsets = until_all_have_enough(options, options.clients, draw);
  Images order = all_images(data);
  auto random = stream(seed, kPoolStream, 0);
  shuffle(random, order);
  return Partition(std::move(order), std::move(offsets));
}

// The first class goes round (client i has class i mod classes), so that every class has holders as soon as
// there are as many clients; the others are drawn.
std::vector<std::vector<std::int64_t>> holders_of_classes(const FederatedOptions& options, int classes,
                                                          std::uint64_t seed) {
  std::vector<std::vector<std::int64_t>> holders(static_cast<std::size_t>(classes));
  for (std::int64_t client = 0; client < options.clients; ++client) {
    auto random = stream(seed, kClientStream, static_cast<std::uint64_t>(client));
    const std::int64_t first = client % classes;
    holders[static_cast<std::size_t>(first)].push_back(client);
    for (const auto drawn : draw_subset(random, classes - 1, options.labels_per_client - 1)) {
      const std::int64_t other = drawn < first ? drawn : drawn + 1;
      holders[static_cast<std::size_t>(other)].push_back(client);
    }
  }
  return holders;
}

Partition labels(const FederatedOptions& options, const LabelView& data, std::uint64_t seed) {
  if (options.labels_per_client < 1 || options.labels_per_client > data.classes) {
    throw ConfigError(cat("federated.labels_per_client: ", options.labels_per_client,
                          " is not between 1 and the ", data.classes, " classes of the data"));
  }
  auto by_class = images_by_class(data);
  const auto holders = holders_of_classes(options, data.classes, seed);
  Assignments assignments;
  for (std::size_t k = 0; k < by_class.size(); ++k) {
    if (holders[k].empty()) continue;
    auto random = stream(seed, kPoolStream, k);
    shuffle(random, by_class[k]);
    const auto count = static_cast<std::int64_t>(holders[k].size());
    const auto size = static_cast<std::int64_t>(by_class[k].size());
    for (std::int64_t h = 0; h < count; ++h) {
      for (std::int64_t i = cut(size, h, count); i < cut(size, h + 1, count); ++i) {
        assignments.give(holders[k][static_cast<std::size_t>(h)], by_class[k][static_cast<std::size_t>(i)]);
      }
    }
  }
  return assignments.partition(options.clients);
}

Partition shards(const FederatedOptions& options, const LabelView& data, std::uint64_t seed) {
  const std::int64_t count = options.clients * options.shards_per_client;
  check_enough_images(options, image_count(data), count, "one per shard");
  Images sorted;
  for (const auto& of_class : images_by_class(data)) {
    sorted.insert(sorted.end(), of_class.begin(), of_class.end());
  }
  Images order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0U);
  auto random = stream(seed, kDealStream, 0);
  shuffle(random, order);
  Assignments assignments;
  const auto images = static_cast<std::int64_t>(sorted.size());
  for (std::int64_t dealt = 0; dealt < count; ++dealt) {
    const std::int64_t shard = order[static_cast<std::size_t>(dealt)];
    for (std::int64_t i = cut(images, shard, count); i < cut(images, shard + 1, count); ++i) {
      assignments.give(dealt / options.shards_per_client, sorted[static_cast<std::size_t>(i)]);
    }
  }
  return assignments.partition(options.clients);
}

Partition from_file(const FederatedOptions& options, const LabelView& data, std::uint64_t) {
  if (options.partition_file.empty()) {
    throw ConfigError("federated.partition_file: partition: file needs the path of a saved partition");
  }
  auto partition = load_partition(io::posix_file_system(), options.partition_file, data);
  if (partition.clients() != options.clients) {
    throw ConfigError(cat("federated.clients: ", options.clients, ", but ", options.partition_file, " has ",
                          partition.clients(), " clients"));
  }
  return partition;
}

void check_options(const FederatedOptions& options, const LabelView& data) {
  constexpr std::int64_t kMost = UINT32_MAX;  // clients and images are 32-bit numbers
  RN_CHECK(data.classes > 0 && image_count(data) <= kMost, data.classes, " classes, ", data.labels.size(),
           " labels");
  const auto refuse = [](const char* key, auto value, const char* rule) {
    throw ConfigError(cat("federated.", key, ": ", value, " is not ", rule));
  };
  if (options.clients < 1 || options.clients > kMost) refuse("clients", options.clients, "above zero");
  if (!(options.alpha > 0)) refuse("alpha", options.alpha, "above zero");
  if (options.client_samples < 0) refuse("client_samples", options.client_samples, "zero or more");
  if (options.shards_per_client < 1) refuse("shards_per_client", options.shards_per_client, "at least 1");
}

void check_every_client_has_images(const FederatedOptions& options, const Partition& partition) {
  for (std::int64_t client = 0; client < partition.clients(); ++client) {
    if (partition.size(client) > 0) continue;
    throw ConfigError(cat("federated.partition: ", options.partition, " leaves client ", client, " of ",
                          partition.clients(), " without images. Take fewer federated.clients"));
  }
}

}  // namespace

Partition make_partition(const FederatedOptions& options, const LabelView& data, std::uint64_t seed) {
  using Kind = Partition (*)(const FederatedOptions&, const LabelView&, std::uint64_t);
  constexpr std::pair<std::string_view, Kind> kKinds[] = {{"iid", iid},
                                                          {"dirichlet_class", dirichlet_class},
                                                          {"dirichlet_client", dirichlet_client},
                                                          {"labels", labels},
                                                          {"shards", shards},
                                                          {"quantity", quantity},
                                                          {"file", from_file}};
  const auto kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                 [&](const auto& each) { return each.first == options.partition; });
  if (kind == std::end(kKinds)) throw ConfigError(cat("federated.partition: unknown: ", options.partition));
  check_options(options, data);
  auto partition = kind->second(options, data, seed);
  check_every_client_has_images(options, partition);
  return partition;
}

}  // namespace rn::federated
