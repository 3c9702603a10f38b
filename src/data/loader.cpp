#include "data/loader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "core/error.h"

namespace rn::data {

void fill_batch(const ImageSet& images, const Augmenter& augmenter, const ShardRequest& request,
                HostBatch& batch) {
  const auto count = static_cast<std::int64_t>(request.indices.size());
  RN_CHECK(request.draws.empty() || request.draws.size() == request.indices.size(), request.draws.size(),
           " draws for ", count, " images");
  RN_CHECK(request.padded_to == 0 || request.padded_to >= count, count, " images padded to ",
           request.padded_to);
  const std::size_t values = static_cast<std::size_t>(images.channels) * images.height * images.width;
  batch.count = count;
  batch.size = std::max(count, request.padded_to);
  batch.images.resize(static_cast<std::size_t>(batch.size) * values);
  batch.labels.resize(static_cast<std::size_t>(batch.size));
  std::vector<std::uint8_t> scratch;
  for (std::size_t i = 0; i < request.indices.size(); ++i) {
    const std::int64_t index = request.indices[i];
    RN_CHECK(index >= 0 && index < images.size, "image ", index, " of ", images.size);
    const AugmentDraw* draw = request.draws.empty() ? nullptr : &request.draws[i];
    augmenter.apply(images.read(index, scratch), draw, std::span(batch.images).subspan(i * values, values));
    batch.labels[i] = images.labels[static_cast<std::size_t>(index)];
  }
  std::fill(batch.images.begin() + static_cast<std::ptrdiff_t>(count * values), batch.images.end(), 0.0f);
  std::fill(batch.labels.begin() + count, batch.labels.end(), std::int64_t{-1});
}

HostBatch make_batch(const ImageSet& images, const AugmentOptions& augment, const ShardRequest& request) {
  HostBatch batch;
  fill_batch(images, Augmenter(augment, images.channels, images.height, images.width), request, batch);
  return batch;
}

// Note [Tickets]: batch number t lies in slot t % slots. A worker draws the next ticket and its request under
// plan_mutex, so tickets and plan calls have one order, and only once the slot's former batch was given up by
// the consumer. There is one slot more than `prefetch`: the one that the consumer holds.
struct PrefetchLoader::Impl {
  struct Slot {
    HostBatch batch;
    std::exception_ptr error;
    bool ready = false;  // guarded by state_mutex; batch and error belong to the consumer if set
  };

  Impl(const ImageSet& image_set, const AugmentOptions& augment, int prefetch, Plan plan_function)
      : images(image_set),
        augmenter(augment, image_set.channels, image_set.height, image_set.width),
        plan(std::move(plan_function)),
        slots(static_cast<std::size_t>(prefetch) + 1) {}

  // Constant after construction.
  const ImageSet& images;
  const Augmenter augmenter;

  std::mutex plan_mutex;         // taken before state_mutex
  Plan plan;                     // guarded by plan_mutex
  std::int64_t next_ticket = 0;  // guarded by plan_mutex
  bool plan_over = false;        // guarded by plan_mutex

  std::mutex state_mutex;
  std::condition_variable slot_free;
  std::condition_variable slot_ready;
  std::vector<Slot> slots;
  std::int64_t released = 0;     // tickets that the consumer is done with; guarded by state_mutex
  std::int64_t end_ticket = -1;  // number of batches, once known; guarded by state_mutex
  double wait_seconds = 0.0;     // guarded by state_mutex
  bool stopping = false;         // guarded by state_mutex

  bool holding = false;  // consumer only: it holds batch `released`
  std::vector<std::thread> threads;

  Slot& slot(std::int64_t ticket) { return slots[static_cast<std::size_t>(ticket) % slots.size()]; }

  // False when the loader is being destroyed.
  bool wait_for_slot(std::int64_t ticket) {
    std::unique_lock lock(state_mutex);
    slot_free.wait(lock,
                   [&] { return stopping || ticket - released < static_cast<std::int64_t>(slots.size()); });
    return !stopping;
  }

  void deliver(std::int64_t ticket, std::exception_ptr error) {
    const std::lock_guard lock(state_mutex);
    slot(ticket).error = std::move(error);
    slot(ticket).ready = true;
    slot_ready.notify_all();
  }

  // The next request with its ticket; nullopt: the worker is done.
  std::optional<std::pair<std::int64_t, ShardRequest>> take_request() {
    const std::lock_guard lock(plan_mutex);
    if (plan_over || !wait_for_slot(next_ticket)) return std::nullopt;
    try {
      if (auto request = plan()) return std::pair(next_ticket++, std::move(*request));
      const std::lock_guard state(state_mutex);
      end_ticket = next_ticket;
      slot_ready.notify_all();
    } catch (...) {
      deliver(next_ticket, std::current_exception());
    }
    plan_over = true;
    return std::nullopt;
  }

  void work() {
    while (auto job = take_request()) {
      const auto& [ticket, request] = *job;
      std::exception_ptr error;
      try {
        fill_batch(images, augmenter, request, slot(ticket).batch);
      } catch (...) {
        error = std::current_exception();
      }
      deliver(ticket, std::move(error));
    }
  }

  void stop() {
    {
      const std::lock_guard lock(state_mutex);
      stopping = true;
      slot_free.notify_all();
    }
    for (auto& thread : threads) thread.join();
  }
};

PrefetchLoader::PrefetchLoader(const ImageSet& images, const AugmentOptions& augment, int workers,
                               int prefetch, Plan plan) {
  RN_CHECK(workers >= 1 && prefetch >= 1, "workers ", workers, ", prefetch ", prefetch);
  impl_ = std::make_unique<Impl>(images, augment, prefetch, std::move(plan));
  try {
    for (int i = 0; i < workers; ++i) impl_->threads.emplace_back([impl = impl_.get()] { impl->work(); });
  } catch (...) {
    impl_->stop();  // a thread could not be started: end those that were
    throw;
  }
}

PrefetchLoader::~PrefetchLoader() { impl_->stop(); }

const HostBatch* PrefetchLoader::next() {
  auto& s = *impl_;
  std::unique_lock lock(s.state_mutex);
  if (s.holding) {
    s.slot(s.released).ready = false;
    ++s.released;
    s.holding = false;
    s.slot_free.notify_all();
  }
  const auto arrived = [&] { return s.slot(s.released).ready || s.released == s.end_ticket; };
  if (!arrived()) {
    const auto start = std::chrono::steady_clock::now();
    s.slot_ready.wait(lock, arrived);
    s.wait_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  auto& slot = s.slot(s.released);
  if (!slot.ready) return nullptr;  // the end; nothing is released, so later calls see it again
  if (slot.error) std::rethrow_exception(slot.error);
  s.holding = true;
  return &slot.batch;
}

double PrefetchLoader::take_wait_seconds() {
  const std::lock_guard lock(impl_->state_mutex);
  return std::exchange(impl_->wait_seconds, 0.0);
}

}  // namespace rn::data
