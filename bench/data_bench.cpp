// What surrounds the arithmetic of a step: augmentation, the step plan, hashes, safetensors files. One
// thread.
//   build/bin/data_bench [--benchmark_filter=REGEX] [--benchmark_format=json]
#include <benchmark/benchmark.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/random.h"
#include "core/tensor_hash.h"
#include "data/augment.h"
#include "data/loader.h"
#include "data/synthetic_dataset.h"
#include "io/atomic_file.h"
#include "io/file_system.h"
#include "io/safetensors.h"
#include "train/step_plan.h"

namespace {

using namespace rn;

constexpr std::int64_t kParameters = 11'173'962;  // of ResNet-18

// Items: images of 3 x 32 x 32, gathered, augmented and normalised into a batch.
void augment(benchmark::State& state, data::AugmentOptions options) {
  constexpr std::int64_t kBatch = 128;
  const auto images = data::make_synthetic(2000, data::SyntheticSplit::kTrain, data::kSyntheticSeed);
  train::StepPlan plan({images.size, kBatch, /*ranks=*/1, /*accumulate=*/1, /*drop_last=*/true}, /*seed=*/1,
                       options, images.height, images.width);
  const data::Augmenter augmenter(options, images.channels, images.height, images.width);
  std::vector<data::ShardRequest> requests;
  for (int step = 0; step < 8; ++step) requests.push_back(plan.request(step, 0, 0));
  data::HostBatch batch;
  std::size_t next = 0;
  for (auto _ : state) {
    data::fill_batch(images, augmenter, requests[next++ % requests.size()], batch);
    benchmark::DoNotOptimize(batch.images.data());
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}

data::AugmentOptions crop(data::CropMode mode, int cutout) {
  data::AugmentOptions options;
  options.crop_padding = 4;
  options.crop_mode = mode;
  options.flip = data::Flip::kAlternating;
  options.cutout = cutout;
  return options;
}
BENCHMARK_CAPTURE(augment, zero, crop(data::CropMode::kZero, 0));
BENCHMARK_CAPTURE(augment, reflect, crop(data::CropMode::kReflect, 0));
BENCHMARK_CAPTURE(augment, reflect_cutout, crop(data::CropMode::kReflect, 8));

// Items: steps of 128 of 50,000 images, an epoch's permutation drawn whenever one begins.
void step_plan(benchmark::State& state) {
  train::StepPlan plan({50000, 128, 1, 1, false}, /*seed=*/1, crop(data::CropMode::kReflect, 0), 32, 32);
  std::int64_t step = 0;
  for (auto _ : state) benchmark::DoNotOptimize(plan.request(step++, 0, 0).indices.data());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(step_plan);

std::vector<float> weights() {
  std::vector<float> values(static_cast<std::size_t>(kParameters));
  CounterRandom random(1, Purpose::kSynthetic, 0, 0);
  for (float& value : values) value = static_cast<float>(random.below(1 << 20)) * 1e-6F;
  return values;
}

void tensor_hash(benchmark::State& state) {
  const auto values = weights();
  const auto bytes = std::as_bytes(std::span(values));
  for (auto _ : state) benchmark::DoNotOptimize(rn::tensor_hash(bytes));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK(tensor_hash);

// A folder of this process's own, on the disk that holds temporary files.
class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / io::temporary_path("rn_data_bench").substr(2)) {
    std::filesystem::create_directory(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string file() const { return (path_ / "weights.safetensors").string(); }

 private:
  const std::filesystem::path path_;
};

void write(const std::string& path, const std::vector<float>& values) {
  const io::TensorView view{"weights", DType::kF32, {kParameters}, std::as_bytes(std::span(values))};
  io::write_file_atomically(io::posix_file_system(), path, [&](io::WritableFile& file) {
    io::write_safetensors(file, std::span(&view, 1), {});
  });
}

// Written, synced and renamed, as a checkpoint's files are.
void safetensors_write(benchmark::State& state) {
  const Folder folder;
  const auto values = weights();
  for (auto _ : state) write(folder.file(), values);
  state.SetBytesProcessed(state.iterations() * kParameters * 4);
}
BENCHMARK(safetensors_write)->Unit(benchmark::kMillisecond)->UseRealTime();

// From the page cache.
void safetensors_read(benchmark::State& state) {
  const Folder folder;
  write(folder.file(), weights());
  for (auto _ : state) {
    benchmark::DoNotOptimize(io::read_safetensors(io::posix_file_system(), folder.file()).storage.data());
  }
  state.SetBytesProcessed(state.iterations() * kParameters * 4);
}
BENCHMARK(safetensors_read)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
