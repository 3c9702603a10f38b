// Batches ready ahead of the step: worker threads gather, augment and normalise what a plan asks for.
//
// The loader knows nothing of ranks or epochs. It is given a function that yields one ShardRequest after
// another (the step plan's shards of this rank) and delivers the batches in that order. All randomness was
// drawn by whoever made the request: the workers only apply integers, so thread count and timing change
// nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "data/augment.h"
#include "data/dataset.h"

namespace rn::data {

// What one batch is made of.
struct ShardRequest {
  std::vector<std::int64_t> indices;  // into the ImageSet, [N]
  std::vector<AugmentDraw> draws;     // [N], or empty: no augmentation (evaluation)
  std::int64_t padded_to = 0;  // fixed shape: rows N.. up to padded_to are zero images with label -1; 0: none
};

// Host memory of one batch, owned by the loader's ring until the next call of next().
struct HostBatch {
  std::int64_t size = 0;             // rows, padding included
  std::int64_t count = 0;            // rows that are real samples
  std::vector<float> images;         // [size, H, W, C] float32, normalised: channels-last
  std::vector<std::int64_t> labels;  // [size]
};

// One consumer thread. Batches come in plan order and with the same bits for any number of workers.
class PrefetchLoader {
 public:
  using Plan =
      std::function<std::optional<ShardRequest>()>;  // nullopt: no more batches, it is not called again

  // Borrows `images`. `plan` is called from the workers, one call at a time, in order. Up to `prefetch`
  // batches are made ahead of the one that the consumer holds. Throws ConfigError (from Augmenter) for
  // options that do not fit the images. REQUIRES: workers >= 1, prefetch >= 1.
  PrefetchLoader(const ImageSet& images, const AugmentOptions& augment, int workers, int prefetch, Plan plan);
  ~PrefetchLoader();  // stops the workers
  PrefetchLoader(const PrefetchLoader&) = delete;
  PrefetchLoader& operator=(const PrefetchLoader&) = delete;

  // The next batch in plan order, or nullptr after the last. Valid until the next call. Rethrows what the
  // plan or the making of this batch threw, after all batches before it were delivered, and again at every
  // later call.
  const HostBatch* next();

  // Time that next() has waited for a batch since the last call of this function, in seconds.
  double take_wait_seconds();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Fills `batch`, reusing its memory. Throws InternalError for an index outside `images` or mismatched sizes.
void fill_batch(const ImageSet& images, const Augmenter& augmenter, const ShardRequest& request,
                HostBatch& batch);

// The same batch made at once by the calling thread: the loader's plain twin, and what evaluation of few
// images uses.
HostBatch make_batch(const ImageSet& images, const AugmentOptions& augment, const ShardRequest& request);

}  // namespace rn::data
