#include "model/host_allocator.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

namespace rn::model {
namespace {

class HostAllocatorTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { prepare_host_allocator(); }
};

torch::Tensor bytes(std::int64_t size) { return torch::empty({size}, torch::kUInt8); }

TEST_F(HostAllocatorTest, TensorsBeginAtACacheLine) {
  std::vector<torch::Tensor> kept;
  for (std::int64_t size = 1; size < 5000; size += 37) {
    kept.push_back(bytes(size).fill_(size % 251));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(kept.back().data_ptr()) % 64, 0U) << size;
  }
  for (const auto& tensor : kept) {
    EXPECT_TRUE(tensor.eq(tensor.numel() % 251).all().item<bool>()) << "of " << tensor.numel() << " bytes";
  }
}

TEST_F(HostAllocatorTest, ATensorOfNothingAndAResizedOneAreSound) {
  EXPECT_EQ(bytes(0).numel(), 0);
  auto tensor = torch::arange(10);
  tensor.resize_({100'000});
  EXPECT_TRUE(torch::equal(tensor.narrow(0, 0, 10), torch::arange(10)));
}

// What a step frees is what the next one asks for: it lies where it lay, between blocks that live on.
TEST_F(HostAllocatorTest, AFreedBlockServesTheSameSizeAgain) {
  constexpr std::int64_t kSize = 3 << 20;
  std::vector<torch::Tensor> blocks;
  for (int i = 0; i < 9; ++i) blocks.push_back(bytes(kSize));
  std::set<void*> places, again;
  for (int i = 1; i < 9; i += 2) {
    places.insert(blocks[static_cast<std::size_t>(i)].data_ptr());
    blocks[static_cast<std::size_t>(i)] = torch::Tensor();
  }
  for (int i = 1; i < 9; i += 2) {
    blocks[static_cast<std::size_t>(i)] = bytes(kSize);
    again.insert(blocks[static_cast<std::size_t>(i)].data_ptr());
  }
  EXPECT_EQ(again, places);
}

TEST_F(HostAllocatorTest, TooMuchIsLibTorchsOwnError) {
  try {
    bytes(std::numeric_limits<std::int64_t>::max() / 2);
    FAIL() << "allocated";
  } catch (const c10::Error& error) {
    EXPECT_NE(std::string(error.what()).find("allocate memory"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace rn::model
