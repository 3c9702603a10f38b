#include "dist/collective.h"

#include "core/error.h"

namespace rn::dist {

std::string_view name_of(CollectiveKind kind) {
  switch (kind) {
    case CollectiveKind::kNone:
      return "none";
    case CollectiveKind::kAllReduce:
      return "all_reduce";
    case CollectiveKind::kBroadcast:
      return "broadcast";
    case CollectiveKind::kAllGather:
      return "all_gather";
    case CollectiveKind::kBarrier:
      return "barrier";
    case CollectiveKind::kAllocate:
      return "allocate";
  }
  return "?";
}

bool same_call(const CollectiveCall& a, const CollectiveCall& b) {
  return a.number == b.number && a.kind == b.kind && a.bytes == b.bytes && a.dtype == b.dtype &&
         a.wire == b.wire && a.root == b.root;
}

std::string describe(const CollectiveCall& call) {
  std::string text(name_of(call.kind));
  if (call.kind != CollectiveKind::kBarrier) text += cat(" of ", call.bytes, " bytes");
  if (call.kind == CollectiveKind::kAllReduce) text += cat(" ", name_of(call.dtype));
  if (call.wire != call.dtype) text += cat(" as ", name_of(call.wire));
  if (call.kind == CollectiveKind::kBroadcast) text += cat(" from rank ", call.root);
  return text + cat(" (number ", call.number, ")");
}

std::string describe_mismatch(int rank_a, const CollectiveCall& a, int rank_b, const CollectiveCall& b) {
  return cat("[dist] the ranks started different collectives: rank ", rank_a, " ", describe(a), ", rank ",
             rank_b, " ", describe(b),
             ". All ranks must start the same collectives, with the same sizes, in the same order.");
}

}  // namespace rn::dist
