// All ranks of a run must be the same program on the same data with the same configuration: checked at the
// start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "core/communicator.h"

namespace rn::dist {

// One thing that all ranks must hold alike. Long values (layouts, manifests, whole configurations) as a hash.
struct AgreementItem {
  std::string what;  // as the user knows it: "rn_dist version", "train.global_batch", "data manifest"
  std::string value;
};

// Collective over `host`. Throws EnvironmentError on every rank, with the same text, if any item of any rank
// differs from rank 0's or is there on some ranks only: names each item, rank 0's value, and the ranks that
// differ with theirs.
void check_agreement(Communicator& host, std::span<const AgreementItem> items);
inline void check_agreement(Communicator& host, std::initializer_list<AgreementItem> items) {
  check_agreement(host, std::span(items.begin(), items.size()));
}

// Ranks in words: "rank 3", "ranks 1-3, 7". `ranks` ascending.
std::string rank_list(std::span<const std::size_t> ranks);

// A hash as a value: 16 hexadecimal digits.
std::string hash_text(std::uint64_t hash);

}  // namespace rn::dist
