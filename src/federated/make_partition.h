// The partitions that a run can be simulated with.
#pragma once

#include <cstdint>

#include "federated/options.h"
#include "federated/partition.h"

namespace rn::federated {

// Draws the partition that `options.partition` names, the same for the same seed at any number of ranks:
//
//   iid               a random permutation cut into equal parts
//   dirichlet_class   every class is divided among the clients by its own Dirichlet(alpha) draw, drawn again
//                     until each client has min_samples (Yurochkin et al. 2019, NIID-Bench, Flower); with
//                     self_balancing a client that holds its even share gets nothing of the classes to come
//   dirichlet_client  every client has the same number of images and its own label distribution, drawn from
//                     Dirichlet(alpha, ..., alpha) (Hsu et al. 2019, whose alpha is ours times the classes;
//                     pfl-research). A class that is used up is left out of the later clients' distributions
//   labels            labels_per_client classes a client, every class divided evenly among its holders
//                     (NIID-Bench #C = k)
//   shards            the images sorted by label, cut into clients * shards_per_client equal shards, dealt at
//                     random (McMahan et al. 2017)
//   quantity          a random permutation cut by a Dirichlet(alpha) draw, drawn again until each client has
//                     min_samples (NIID-Bench)
//   file              options.partition_file, see load_partition
//
// Every image belongs to exactly one client, except: `labels` leaves out the classes that no client drew;
// with client_samples (iid, dirichlet_client) images may be left over, or, where clients * client_samples
// exceeds the images, a class (iid: all images) is dealt again from anew whenever it has been dealt out, but
// never twice to one client.
//
// Throws ConfigError where the options ask for what the data cannot give, a client without images included.
Partition make_partition(const FederatedOptions& options, const LabelView& data, std::uint64_t seed);

}  // namespace rn::federated
