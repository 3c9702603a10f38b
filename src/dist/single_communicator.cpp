#include "dist/single_communicator.h"

#include <cstring>
#include <new>

#include "core/error.h"

namespace rn::dist {
namespace {

constexpr std::align_val_t kAlignment{4096};

class AlignedBuffer final : public Buffer {
 public:
  explicit AlignedBuffer(std::size_t bytes)
      : size_(bytes), data_(static_cast<std::byte*>(::operator new(bytes, kAlignment))) {
    std::memset(data_, 0, bytes);
  }
  ~AlignedBuffer() override { ::operator delete(data_, kAlignment); }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  std::span<std::byte> bytes() const override { return {data_, size_}; }

 private:
  const std::size_t size_;
  std::byte* const data_;
};

}  // namespace

void check_all_reduce(std::size_t bytes, DType dtype, DType wire) {
  const bool summable =
      dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kI32 || dtype == DType::kI64;
  RN_CHECK(summable, "all_reduce of ", name_of(dtype));
  RN_CHECK(bytes % size_of(dtype) == 0, bytes, " bytes are no whole number of ", name_of(dtype));
  RN_CHECK(wire == dtype || (dtype == DType::kF32 && wire == DType::kBF16), name_of(dtype), " as ",
           name_of(wire));
}

std::shared_ptr<Buffer> SingleCommunicator::allocate(std::size_t bytes) {
  return std::make_shared<AlignedBuffer>(bytes);
}

Work SingleCommunicator::all_reduce(std::span<std::byte> data, DType dtype, DType wire) {
  check_all_reduce(data.size(), dtype, wire);
  return Work();
}

Work SingleCommunicator::broadcast(std::span<std::byte>, int root) {
  RN_CHECK(root == 0, "broadcast from rank ", root, " of 1");
  return Work();
}

Work SingleCommunicator::all_gather(std::span<const std::byte> mine, std::span<std::byte> all) {
  RN_CHECK(all.size() == mine.size(), all.size(), " bytes for one part of ", mine.size());
  if (!mine.empty()) std::memmove(all.data(), mine.data(), mine.size());
  return Work();
}

}  // namespace rn::dist
