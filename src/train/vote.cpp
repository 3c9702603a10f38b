#include "train/vote.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cmath>

#include "core/error.h"

namespace rn::train {
namespace {

enum Field { kLossSum, kCorrect, kCount, kFoundInf, kGradNorm, kStatistics, kStop1, kStop2, kStop3, kFields };
constexpr std::int64_t kStopReasons = kFields - kStop1;

}  // namespace

Vote::Vote(Communicator& communicator, torch::Device device) : communicator_(communicator) {
  if (device.is_cuda()) {
    read_stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
  }
  for (Slot& slot : slots_) {
    slot.memory = communicator.allocate(kFields * sizeof(double));
    slot.values = torch::from_blob(slot.memory->bytes().data(), {kFields},
                                   torch::dtype(torch::kFloat64).device(device));
  }
}

std::optional<VoteResult> Vote::start(std::int64_t step, const Ballot& ballot) {
  Slot& slot = slots_[next_];
  RN_CHECK(slot.step < 0, "two votes are outstanding");
  const torch::NoGradGuard no_grad;
  auto& values = slot.values;
  values.zero_();
  if (ballot.loss_sum.defined()) values[kLossSum].copy_(ballot.loss_sum);
  if (ballot.correct.defined()) values[kCorrect].copy_(ballot.correct);
  values[kCount].fill_(static_cast<double>(ballot.count));
  if (communicator_.rank() == 0) {  // alike on all ranks: one of them brings it
    if (ballot.found_inf.defined()) values[kFoundInf].copy_(ballot.found_inf[0]);
    if (ballot.grad_norm.defined()) values[kGradNorm].copy_(ballot.grad_norm);
    if (ballot.statistics_sum.defined()) values[kStatistics].copy_(ballot.statistics_sum);
  }
  RN_CHECK(ballot.stop_reason >= 0 && ballot.stop_reason <= kStopReasons);
  if (ballot.stop_reason > 0) values[kStop1 + ballot.stop_reason - 1].fill_(1.0);
  slot.step = step;
  slot.work = communicator_.all_reduce(slot.memory->bytes(), DType::kF64);
  next_ = (next_ + 1) % kSlots;
  Slot& earlier = slots_[next_];
  if (earlier.step < 0) return std::nullopt;
  return read(earlier);
}

std::optional<VoteResult> Vote::drain() {
  for (Slot& slot : slots_) {
    if (slot.step >= 0) return read(slot);  // at most one is outstanding between two calls of start()
  }
  return std::nullopt;
}

// On a stream of its own: on the compute stream the copy, and with it the host, would wait for the whole step
// that was queued since the vote was started.
torch::Tensor Vote::host_copy(const torch::Tensor& values) const {
  if (!read_stream_) return values;
  const c10::StreamGuard guard(*read_stream_);
  return values.cpu();
}

VoteResult Vote::read(Slot& slot) {
  const auto ran = slot.work.wait();
  const auto host = host_copy(slot.values);
  const double* values = host.const_data_ptr<double>();
  VoteResult result;
  result.step = slot.step;
  result.ran = ran;
  result.loss_sum = values[kLossSum];
  result.correct = static_cast<std::int64_t>(values[kCorrect]);
  result.count = static_cast<std::int64_t>(values[kCount]);
  result.found_inf = values[kFoundInf] != 0;
  result.grad_norm = values[kGradNorm];
  result.statistics_finite = std::isfinite(values[kStatistics]);
  for (int reason = 1; reason <= kStopReasons; ++reason) {
    if (values[kStop1 + reason - 1] > 0) result.stop_reason = reason;  // later reasons are more urgent
  }
  slot.step = -1;
  return result;
}

}  // namespace rn::train
