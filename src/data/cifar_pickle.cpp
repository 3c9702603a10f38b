#include "data/cifar_pickle.h"

#include <algorithm>

#include "core/error.h"
#include "data/cifar_binary.h"
#include "data/cifar_format.h"
#include "data/pickle_reader.h"

namespace rn::data {
namespace {

void copy_pixels(const PickleValue& array, const std::string& path, std::span<std::uint8_t> pixels) {
  const auto records = static_cast<std::int64_t>(pixels.size()) / kCifarImageBytes;
  if (array.shape != std::vector{records, kCifarImageBytes}) {
    std::string shape;
    for (const auto size : array.shape) shape += cat(shape.empty() ? "" : ", ", size);
    throw DataError(cat("[data] ", path, ": 'data' has shape [", shape, "] instead of [", records, ", ",
                        kCifarImageBytes, "]. ", kReplaceHint));
  }
  const auto* input = reinterpret_cast<const std::uint8_t*>(array.text.data());
  if (!array.fortran_order) {
    std::copy_n(input, pixels.size(), pixels.data());
    return;
  }
  for (std::int64_t record = 0; record < records; ++record) {
    for (std::int64_t i = 0; i < kCifarImageBytes; ++i)
      pixels[record * kCifarImageBytes + i] = input[i * records + record];
  }
}

void copy_labels(const PickleValue& list, const std::string& path, std::span<std::uint8_t> labels) {
  if (list.items.size() != labels.size()) {
    throw DataError(cat("[data] ", path, ": ", list.items.size(), " labels instead of ", labels.size(), ". ",
                        kReplaceHint));
  }
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto& label = *list.items[i];
    if (label.kind != PickleKind::kInt || label.integer < 0 || label.integer >= kCifarClasses) {
      const std::string what =
          label.kind == PickleKind::kInt ? cat(label.integer) : "something that is no integer";
      throw DataError(cat("[data] ", path, ": record ", i, " has label ", what, ", but labels are 0 to ",
                          kCifarClasses - 1, ". ", kReplaceHint));
    }
    labels[i] = static_cast<std::uint8_t>(label.integer);
  }
}

}  // namespace

void decode_cifar_pickle(std::span<const std::byte> bytes, const std::string& path,
                         std::span<std::uint8_t> pixels, std::span<std::uint8_t> labels) {
  const PickleDocument document(bytes, path);
  const PickleValue* data = document.root().find("data");
  const PickleValue* list = document.root().find("labels");
  if (data == nullptr || data->kind != PickleKind::kArray || list == nullptr ||
      list->kind != PickleKind::kList) {
    throw DataError(cat("[data] ", path,
                        " is a pickle, but not one of CIFAR-10: it needs a dict with the array 'data' "
                        "and the list 'labels' (CIFAR-100 has 'fine_labels' and is not this set). ",
                        kReplaceHint));
  }
  copy_pixels(*data, path, pixels);
  copy_labels(*list, path, labels);
}

}  // namespace rn::data
