#include "config/identity.h"

#include "config/derived.h"
#include "config/option_table.h"

namespace rn::config {
namespace {

// Two ways to write the same thing are no difference.
RunConfig normalised(RunConfig config) {
  auto& train = config.train;
  if (train.global_batch == 0 && train.batch_per_rank == 0) train.global_batch = kDefaultGlobalBatch;
  return config;
}

}  // namespace

std::vector<IdentityDifference> identity_differences(const RunConfig& a, const RunConfig& b) {
  const auto left = normalised(a), right = normalised(b);
  std::vector<IdentityDifference> differences;
  for (const auto& option : option_table()) {
    if (!option.identity) continue;
    const auto x = option.get(left), y = option.get(right);
    if (x != y) differences.push_back({option.key(), format_value(x), format_value(y)});
  }
  return differences;
}

}  // namespace rn::config
