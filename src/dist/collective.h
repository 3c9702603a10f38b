// What a collective is, as the ranks compare it and the progress board names it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/dtype.h"

namespace rn::dist {

// Values are written to the progress board (BoardRow::collective_kind).
enum class CollectiveKind : std::uint32_t { kNone, kAllReduce, kBroadcast, kAllGather, kBarrier, kAllocate };
std::string_view name_of(CollectiveKind kind);

// One call of one rank. Plain data: ranks publish it to each other before any data moves.
struct CollectiveCall {
  std::int64_t number = 0;   // 1, 2, ... per communicator
  std::uint64_t bytes = 0;   // what every rank must agree on: the span, for all_gather `mine`
  std::int64_t buffer = -1;  // shared buffer that holds the span, -1: other memory; ranks may differ here
  std::uint64_t offset = 0;  // in that buffer
  CollectiveKind kind = CollectiveKind::kNone;
  std::int32_t root = -1;  // broadcast only
  DType dtype = DType::kU8;
  DType wire = DType::kU8;
};

// Whether two ranks' calls belong together.
bool same_call(const CollectiveCall& a, const CollectiveCall& b);

// "all_reduce of 4096 bytes f32 (number 17)".
std::string describe(const CollectiveCall& call);

// The message for two calls that do not belong together; names both ranks.
std::string describe_mismatch(int rank_a, const CollectiveCall& a, int rank_b, const CollectiveCall& b);

}  // namespace rn::dist
