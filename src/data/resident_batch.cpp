#include "data/resident_batch.h"

namespace rn::data {

void make_batch_on_host(const ResidentBatch& batch) {
  const AugmentGeometry& shape = batch.shape;
  const std::int64_t values = std::int64_t{shape.channels} * shape.height * shape.width;
  float* out = batch.out;
  for (std::int64_t i = 0; i < batch.count; ++i) {
    const std::uint8_t* image = batch.images + batch.indices[i] * values;
    const AugmentDraw* draw = batch.draws != nullptr ? batch.draws + i : nullptr;
    for (int y = 0; y < shape.height; ++y) {
      for (int x = 0; x < shape.width; ++x) {
        for (int c = 0; c < shape.channels; ++c) {
          *out++ = augmented_value(image, shape, draw, batch.table, c, y, x);
        }
      }
    }
  }
}

}  // namespace rn::data
