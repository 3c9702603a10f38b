// Stands in for resident_batch.cu in builds without CUDA.
#include "core/error.h"
#include "data/resident_batch.h"

namespace rn::data {

void make_batch_on_device(const ResidentBatch&, void*) {
  throw InternalError("[data] this build has no CUDA, so no batch can be made on a GPU");
}

}  // namespace rn::data
