// Small checkpoints whose content tells their step and version.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "io/checkpoint_folder.h"

namespace rn::io {

inline constexpr const char* kCheckpoints = "/run/checkpoints";

// The tensors of a checkpoint; owns what the views of contents() point to.
class SampleState {
 public:
  SampleState(std::int64_t step, int version)
      : weights_{float(step), float(version), 0.5F}, momentum_{float(step) * 2} {
    statistics_ = {version, static_cast<int>(step)};
  }

  std::vector<CheckpointFile> contents() const {
    return {{"model.safetensors",
             {{"fc.weight", DType::kF32, {3}, std::as_bytes(std::span(weights_))},
              {"bn1.running_mean", DType::kI32, {2}, std::as_bytes(std::span(statistics_))}}},
            {"optimizer.safetensors", {{"momentum", DType::kF32, {1}, std::as_bytes(std::span(momentum_))}}}};
  }

 private:
  std::vector<float> weights_, momentum_;
  std::vector<int> statistics_;
};

inline nlohmann::json sample_values(std::int64_t step, int version) {
  return {{"step", step},
          {"version", version},
          {"loss", 0.1},
          {"name", "Ä \"quoted\""},
          {"list", {1, 2.5, nullptr}}};
}

inline void save_sample(CheckpointFolder& folder, std::int64_t step, int version = 1) {
  const SampleState state(step, version);
  folder.save(step, state.contents(), sample_values(step, version));
}

// Loads (throws DataError if it does not open whole), expects the content of `step`, and returns the version.
inline int load_sample(const LoadedCheckpoint& checkpoint, std::int64_t step) {
  EXPECT_EQ(checkpoint.step, step);
  const int version = checkpoint.values.at("version").get<int>();
  EXPECT_EQ(checkpoint.values, sample_values(step, version));
  const SampleState expected(step, version);
  EXPECT_EQ(checkpoint.files.size(), 2u);
  for (const CheckpointFile& content : expected.contents()) {
    const SafetensorsFile* file = checkpoint.file(content.name);
    EXPECT_NE(file, nullptr) << content.name;
    if (file == nullptr) continue;
    for (const TensorView& tensor : content.tensors) {
      const TensorView* found = file->find(tensor.name);
      EXPECT_TRUE(
          found != nullptr && found->dtype == tensor.dtype && found->shape == tensor.shape &&
          std::equal(found->bytes.begin(), found->bytes.end(), tensor.bytes.begin(), tensor.bytes.end()))
          << tensor.name << " of step " << step;
    }
  }
  return version;
}

}  // namespace rn::io
