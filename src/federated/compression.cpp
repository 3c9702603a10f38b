#include "federated/compression.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <utility>

#include "core/error.h"

namespace rn::federated {
namespace {

constexpr std::int64_t kValueBytes = 4;
constexpr std::int64_t kIndexBytes = 4;
constexpr std::int64_t kScaleBytes = 4;

template <typename Value>
std::span<Value> part(std::span<Value> all, const Slice& slice) {
  return all.subspan(static_cast<std::size_t>(slice.offset), static_cast<std::size_t>(slice.size));
}

// The bits without the sign order like the magnitude.
std::uint32_t magnitude(float value) { return std::bit_cast<std::uint32_t>(value) & 0x7FFFFFFFU; }

// Keeps the `kept` values of largest magnitude; among equals the earlier ones.
void keep_largest(std::span<float> update, std::span<const Slice> tensors, std::int64_t kept) {
  std::vector<std::uint32_t> magnitudes;
  for (const auto& tensor : tensors) {
    for (const float value : part(update, tensor)) magnitudes.push_back(magnitude(value));
  }
  const auto last = magnitudes.begin() + (kept - 1);
  std::nth_element(magnitudes.begin(), last, magnitudes.end(), std::greater<>());
  const std::uint32_t threshold = *last;
  std::int64_t equals =
      kept - std::count_if(magnitudes.begin(), last, [=](std::uint32_t each) { return each > threshold; });
  for (const auto& tensor : tensors) {
    for (float& value : part(update, tensor)) {
      const std::uint32_t own = magnitude(value);
      if (own < threshold || (own == threshold && equals-- <= 0)) value = 0;
    }
  }
}

void quantize_int8(std::span<float> tensor) {
  constexpr float kLevels = 127;
  float largest = 0;
  for (const float value : tensor) largest = std::max(largest, std::abs(value));
  const float scale = largest / kLevels;
  for (float& value : tensor) {
    // A scale of zero: the tensor is zero, or too small for a float's scale.
    const float level = scale > 0 ? std::clamp(std::nearbyint(value / scale), -kLevels, kLevels) : 0.0F;
    value = level * scale;
  }
}

void quantize_sign(std::span<float> tensor) {
  if (tensor.empty()) return;
  double sum = 0;
  for (const float value : tensor) sum += static_cast<double>(std::abs(value));
  const auto scale = static_cast<float>(sum / static_cast<double>(tensor.size()));
  for (float& value : tensor) value = std::copysign(scale, value);
}

}  // namespace

Compression compression_named(std::string_view name) {
  if (name == "none") return Compression::kNone;
  if (name == "top_k") return Compression::kTopK;
  if (name == "int8") return Compression::kInt8;
  if (name == "sign") return Compression::kSign;
  throw ConfigError(cat("federated.compression: unknown: ", name));
}

UpdateCompressor::UpdateCompressor(Compression kind, std::vector<Slice> tensors, double top_k)
    : kind_(kind), tensors_(std::move(tensors)) {
  for (const auto& tensor : tensors_) elements_ += tensor.size;
  if (kind_ != Compression::kTopK) return;
  RN_CHECK(elements_ > 0, "nothing to compress");
  if (!(top_k > 0 && top_k <= 1)) {
    throw ConfigError(cat("federated.top_k: ", top_k, " is no share above 0 and up to 1"));
  }
  kept_ = std::clamp<std::int64_t>(std::llround(top_k * static_cast<double>(elements_)), 1, elements_);
}

void UpdateCompressor::compress(std::span<float> update, std::span<float> residual) const {
  if (kind_ == Compression::kNone) return;
  const bool feedback = !residual.empty();
  RN_CHECK(!feedback || residual.size() == update.size(), residual.size(), " and ", update.size());
  for (const auto& tensor : feedback ? std::span<const Slice>(tensors_) : std::span<const Slice>()) {
    const auto sent = part(update, tensor);
    const auto left = part(residual, tensor);
    for (std::size_t i = 0; i < sent.size(); ++i) left[i] = sent[i] += left[i];
  }
  if (kind_ == Compression::kTopK) {
    keep_largest(update, tensors_, kept_);
  } else {
    for (const auto& tensor : tensors_) {
      kind_ == Compression::kInt8 ? quantize_int8(part(update, tensor)) : quantize_sign(part(update, tensor));
    }
  }
  for (const auto& tensor : feedback ? std::span<const Slice>(tensors_) : std::span<const Slice>()) {
    const auto sent = part(update, tensor);
    const auto left = part(residual, tensor);
    for (std::size_t i = 0; i < sent.size(); ++i) left[i] -= sent[i];
  }
}

std::int64_t UpdateCompressor::bytes() const {
  const auto tensors = static_cast<std::int64_t>(tensors_.size());
  switch (kind_) {
    case Compression::kNone:
      return elements_ * kValueBytes;
    case Compression::kTopK:
      return kept_ * (kValueBytes + kIndexBytes);
    case Compression::kInt8:
      return elements_ + tensors * kScaleBytes;
    case Compression::kSign: {
      std::int64_t bytes = tensors * kScaleBytes;
      for (const auto& tensor : tensors_) bytes += (tensor.size + 7) / 8;
      return bytes;
    }
  }
  return 0;
}

std::vector<Slice> tensor_slices(const FlatLayout& layout) {
  std::vector<Slice> slices;
  for (const auto& entry : layout.entries()) slices.push_back({entry.offset, entry.numel});
  return slices;
}

}  // namespace rn::federated
