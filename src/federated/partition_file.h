// Partitions as text files, easy to write by hand or by a script of another framework:
//
//   rn_dist partition 1
//   clients 3
//   images 12
//   labels 9b2f6c0d11aa42e7        (optional: tensor_hash of the labels the partition was made for)
//   0 3 7 11                       (one line per client: indices of its images)
//   1 2
//   4 5 6 8 9 10
//
// Empty lines and lines that begin with # are skipped. An image may belong to several clients or to none.
#pragma once

#include <string>

#include "federated/partition.h"
#include "io/file_system.h"

namespace rn::federated {

// Writes the partition whole or not at all. Throws Error (exit 1) naming the path and the reason.
void save_partition(io::FileSystem& files, const std::string& path, const Partition& partition,
                    const LabelView& data);

// Reads a partition that was made for these labels. Throws DataError naming file, line and reason: no such
// file, no partition, an index outside the data or twice at one client, a client without images, another
// number of images, other labels.
Partition load_partition(io::FileSystem& files, const std::string& path, const LabelView& data);

}  // namespace rn::federated
