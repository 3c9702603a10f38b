#include "dist/single_communicator.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "core/error.h"

namespace rn::dist {
namespace {

TEST(SingleCommunicatorTest, BuffersAreAlignedAndZero) {
  SingleCommunicator communicator;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4097}, std::size_t{1} << 20}) {
    const auto buffer = communicator.allocate(size);
    ASSERT_EQ(buffer->bytes().size(), size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer->bytes().data()) % 4096, 0U);
    for (const std::byte b : buffer->bytes()) ASSERT_EQ(b, std::byte{0});
  }
}

TEST(SingleCommunicatorTest, CollectivesLeaveTheDataAsItIs) {
  SingleCommunicator communicator;
  std::vector<float> data{1.0F, 2.00001F, -3.0F};
  const auto before = data;
  communicator.all_reduce(bytes_of(std::span(data)), DType::kF32, DType::kBF16).wait();
  communicator.broadcast(bytes_of(std::span(data)), 0).wait();
  EXPECT_EQ(data, before);
  std::vector<float> all(3, -1.0F);
  communicator.all_gather(std::as_bytes(std::span<const float>(data)), bytes_of(std::span(all))).wait();
  EXPECT_EQ(all, data);
  communicator.barrier();
  EXPECT_EQ(&communicator.host(), &communicator);
}

TEST(SingleCommunicatorTest, RefusesWhatNoCommunicatorCanDo) {
  SingleCommunicator communicator;
  std::vector<std::byte> data(12);
  EXPECT_THROW((void)communicator.all_reduce(data, DType::kF16), InternalError);
  EXPECT_THROW((void)communicator.all_reduce(data, DType::kF64), InternalError)
      << "12 bytes are no whole f64";
  EXPECT_THROW((void)communicator.all_reduce(data, DType::kI32, DType::kBF16), InternalError);
  EXPECT_THROW((void)communicator.broadcast(data, 1), InternalError);
  EXPECT_THROW((void)communicator.all_gather(data, std::span(data).first(6)), InternalError);
}

}  // namespace
}  // namespace rn::dist
