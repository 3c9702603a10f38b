#include "dist/gradient_reducer.h"

#include <algorithm>
#include <chrono>

#include "core/error.h"

namespace rn::dist {

GradientReducer::GradientReducer(Communicator& communicator, const FlatLayout& layout,
                                 std::span<std::byte> gradient, DType dtype, DType wire)
    : communicator_(communicator),
      layout_(layout),
      gradient_(gradient),
      dtype_(dtype),
      wire_(wire),
      entries_in_bucket_(layout.buckets().size(), 0),
      entry_ready_(layout.entries().size(), false) {
  RN_CHECK(gradient.size() == static_cast<std::size_t>(layout.size()) * size_of(dtype), gradient.size(),
           " bytes for ", layout.size(), " elements of ", name_of(dtype));
  for (const FlatEntry& entry : layout.entries())
    ++entries_in_bucket_[static_cast<std::size_t>(entry.bucket)];
  pending_ = entries_in_bucket_;
  works_.reserve(layout.buckets().size());
}

void GradientReducer::begin_step() {
  if (in_step_) return;
  in_step_ = true;
  trace_.clear();
  bucket_times_.clear();
}

void GradientReducer::ready(std::size_t entry) {
  begin_step();
  RN_CHECK(entry < entry_ready_.size(), "entry ", entry, " of ", entry_ready_.size());
  RN_CHECK(!entry_ready_[entry], layout_.entries()[entry].spec.name, " is ready a second time in one step");
  entry_ready_[entry] = true;
  trace_.push_back({Event::Kind::kReady, entry});
  --pending_[static_cast<std::size_t>(layout_.entries()[entry].bucket)];
  // Never out of order: all ranks start the same buckets in the same order, whatever their hooks' order.
  while (next_bucket_ < pending_.size() && pending_[next_bucket_] == 0) start_next_bucket();
}

void GradientReducer::start_next_bucket() {
  const std::size_t bucket = next_bucket_++;
  const Slice slice = layout_.buckets()[bucket];
  const std::size_t element = size_of(dtype_);
  trace_.push_back({Event::Kind::kStarted, bucket});
  bucket_times_.push_back({std::chrono::steady_clock::now(), std::nullopt});
  works_.push_back(
      communicator_.all_reduce(gradient_.subspan(static_cast<std::size_t>(slice.offset) * element,
                                                 static_cast<std::size_t>(slice.size) * element),
                               dtype_, wire_));
}

void GradientReducer::finalize(void* stream) {
  begin_step();
  trace_.push_back({Event::Kind::kFinalize, 0});
  while (next_bucket_ < pending_.size()) start_next_bucket();
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t bucket = 0; bucket < works_.size(); ++bucket) {
    if (communicator_.on_device()) {
      works_[bucket].order_after(stream);
    } else {
      bucket_times_[bucket].ran = works_[bucket].wait();
    }
  }
  wait_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  works_.clear();
  pending_ = entries_in_bucket_;
  std::fill(entry_ready_.begin(), entry_ready_.end(), false);
  next_bucket_ = 0;
  in_step_ = false;
}

}  // namespace rn::dist
