#include "config/identity.h"

#include "config/derived.h"
#include "config/option_table.h"

namespace rn::config {
namespace {

// Two ways to write the same thing are no difference.
RunConfig normalised(RunConfig config) {
  auto& train = config.train;
  if (train.global_batch == 0 && train.batch_per_rank == 0) train.global_batch = kDefaultGlobalBatch;
  if (config.run.mode == Mode::kFederated)
    train.threads = client_threads(config);
  else
    train.threads = step_threads(config);
  return config;
}

}  // namespace

std::vector<IdentityDifference> identity_differences(const RunConfig& a, const RunConfig& b) {
  const auto left = normalised(a), right = normalised(b);
  // The bits of a federated run are those of its clients, each trained by so many threads.
  const bool federated = left.run.mode == Mode::kFederated && right.run.mode == Mode::kFederated;
  const bool strict = is_strict(left) && is_strict(right);
  const auto counts = [&](const Option& option) {
    const auto key = option.key();
    return option.identity || (key == "train.threads" && (federated || strict)) ||
           (key == "train.shards" && strict);
  };
  std::vector<IdentityDifference> differences;
  for (const auto& option : option_table()) {
    if (!counts(option)) continue;
    const auto x = option.get(left), y = option.get(right);
    if (x != y) differences.push_back({option.key(), format_value(x), format_value(y)});
  }
  return differences;
}

}  // namespace rn::config
