#include "train/shard_sum.h"

#include <algorithm>
#include <bit>
#include <span>
#include <utility>

#include "core/error.h"

namespace rn::train {
namespace {

// Elements gathered at a time: bounds the memory to that of a bucket per rank.
constexpr std::int64_t kPiece = 2 << 20;

bool is_power_of_two(int value) { return value > 0 && std::has_single_bit(static_cast<unsigned>(value)); }

std::span<std::byte> bytes_of(const torch::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data_ptr()), static_cast<std::size_t>(tensor.nbytes())};
}

}  // namespace

ShardSum::ShardSum(Communicator& communicator, int shards_of_rank, torch::Tensor values)
    : communicator_(communicator), shards_of_rank_(shards_of_rank), values_(std::move(values)) {
  RN_CHECK(is_power_of_two(shards_of_rank) && is_power_of_two(communicator.world_size()), shards_of_rank,
           " shards per rank, ", communicator.world_size(), " ranks");
  RN_CHECK(values_.dim() == 1 && values_.is_contiguous());
  for (int level = 1; level < shards_of_rank; level *= 2) partial_.push_back(torch::empty_like(values_));
  if (communicator.world_size() > 1) {
    gathered_ =
        torch::empty({communicator.world_size() * std::min(kPiece, values_.numel())}, values_.options());
  }
}

void ShardSum::add() {
  RN_CHECK(added_ < shards_of_rank_, "more than ", shards_of_rank_, " shards in a step");
  const torch::NoGradGuard no_grad;
  // Shard i ends as many subtrees as its number has trailing ones.
  std::size_t level = 0;
  for (int i = added_; i % 2 == 1; i /= 2) values_.add_(partial_[level++]);
  ++added_;
  if (level < partial_.size()) partial_[level].copy_(values_);
}

void ShardSum::finish(void* stream) {
  RN_CHECK(added_ == shards_of_rank_, added_, " of ", shards_of_rank_, " shards in a step");
  added_ = 0;
  const int ranks = communicator_.world_size();
  if (ranks == 1) return;
  const torch::NoGradGuard no_grad;
  for (std::int64_t begin = 0; begin < values_.numel(); begin += kPiece) {
    const auto mine = values_.narrow(0, begin, std::min(kPiece, values_.numel() - begin));
    const auto all = gathered_.narrow(0, 0, ranks * mine.numel()).view({ranks, mine.numel()});
    Work work = communicator_.all_gather(bytes_of(mine), bytes_of(all));
    if (communicator_.on_device()) {
      work.order_after(stream);
    } else {
      work.wait();
    }
    for (int half = 1; half < ranks; half *= 2) {
      for (int rank = 0; rank < ranks; rank += 2 * half) all[rank].add_(all[rank + half]);
    }
    mine.copy_(all[0]);
  }
}

}  // namespace rn::train
