// NCCL's collectives against sums that are exact in every type, on one GPU per rank.
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cmath>
#include <thread>
#include <vector>

#include "dist/judgement.h"
#include "dist/mpi_test_values.h"
#include "dist/nccl_communicator.h"
#include "dist/progress_board.h"
#include "gpu_testing.h"
#include "model/device_graph.h"

namespace rn::dist {
namespace {

using test::sum_of_values;
using test::value;

struct Type {
  DType dtype;
  torch::ScalarType scalar;
};
constexpr Type kTypes[] = {{DType::kF32, torch::kFloat32},
                           {DType::kF64, torch::kFloat64},
                           {DType::kI32, torch::kInt32},
                           {DType::kI64, torch::kInt64}};

// [count] on the host, exact in `scalar`.
template <typename Function>
torch::Tensor host_values(std::int64_t count, torch::ScalarType scalar, Function function) {
  auto values = torch::empty({count}, torch::kInt64);
  auto* out = values.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < count; ++i) out[i] = function(static_cast<std::size_t>(i));
  return values.to(scalar);
}

class NcclCommunicatorTest : public rn::testing::GpuTest {
 protected:
  static torch::Tensor mine(std::int64_t count, torch::ScalarType scalar) {
    return host_values(count, scalar, [](std::size_t i) { return value<std::int64_t>(gpu().rank(), i); });
  }
  static torch::Tensor sum(std::int64_t count, torch::ScalarType scalar) {
    return host_values(count, scalar,
                       [](std::size_t i) { return sum_of_values<std::int64_t>(gpu().world_size(), i); });
  }
  static torch::Tensor tensor_in(const Buffer& memory, std::int64_t count, torch::ScalarType scalar) {
    return torch::from_blob(memory.bytes().data(), {count}, torch::dtype(scalar).device(device()));
  }
  static std::span<std::byte> bytes(const torch::Tensor& tensor) {
    return {static_cast<std::byte*>(tensor.data_ptr()), static_cast<std::size_t>(tensor.nbytes())};
  }
};

TEST_F(NcclCommunicatorTest, KnowsItsPlace) {
  EXPECT_EQ(gpu().backend(), "nccl");
  EXPECT_TRUE(gpu().on_device());
  EXPECT_EQ(gpu().rank(), host().rank());
  EXPECT_EQ(gpu().world_size(), host().world_size());
  EXPECT_EQ(&gpu().host(), &host());
  EXPECT_FALSE(nccl_version().empty());
}

TEST_F(NcclCommunicatorTest, AllocatesZeroedAlignedDeviceMemory) {
  const auto memory = gpu().allocate(10'000);
  ASSERT_EQ(memory->bytes().size(), 10'000U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory->bytes().data()) % 4096, 0U);
  // from_blob refuses memory that is not the device's that it is told.
  EXPECT_EQ(tensor_in(*memory, 10'000, torch::kUInt8).count_nonzero().item<std::int64_t>(), 0);
}

TEST_F(NcclCommunicatorTest, SumsKnownValuesOfEveryTypeAndSize) {
  for (const Type& type : kTypes) {
    for (const std::int64_t count : {std::int64_t{1}, std::int64_t{1021}, std::int64_t{1} << 20}) {
      const auto memory = gpu().allocate(static_cast<std::size_t>(count) * size_of(type.dtype));
      auto tensor = tensor_in(*memory, count, type.scalar);
      tensor.copy_(mine(count, type.scalar));
      gpu().all_reduce(memory->bytes(), type.dtype).wait();
      EXPECT_TRUE(torch::equal(tensor.cpu(), sum(count, type.scalar)))
          << count << " x " << name_of(type.dtype);
    }
  }
}

TEST_F(NcclCommunicatorTest, SumsASliceAndLeavesTheRest) {
  constexpr std::int64_t kCount = 5000, kFrom = 1003, kSize = 2001;
  const auto memory = gpu().allocate(kCount * sizeof(float));
  auto tensor = tensor_in(*memory, kCount, torch::kFloat32);
  tensor.copy_(mine(kCount, torch::kFloat32));
  gpu().all_reduce(memory->bytes().subspan(kFrom * sizeof(float), kSize * sizeof(float)), DType::kF32).wait();
  auto expected = mine(kCount, torch::kFloat32);
  expected.narrow(0, kFrom, kSize).copy_(sum(kCount, torch::kFloat32).narrow(0, kFrom, kSize));
  EXPECT_TRUE(torch::equal(tensor.cpu(), expected));
}

TEST_F(NcclCommunicatorTest, BroadcastsFromEveryRank) {
  constexpr std::int64_t kCount = 3001;
  for (int root = 0; root < gpu().world_size(); ++root) {
    auto tensor = mine(kCount, torch::kFloat32).to(device());  // memory that is not the communicator's
    gpu().broadcast(bytes(tensor), root).wait();
    const auto expected =
        host_values(kCount, torch::kFloat32, [&](std::size_t i) { return value<std::int64_t>(root, i); });
    EXPECT_TRUE(torch::equal(tensor.cpu(), expected)) << "from rank " << root;
  }
}

TEST_F(NcclCommunicatorTest, GathersInRankOrder) {
  constexpr std::int64_t kCount = 777;
  const auto local = mine(kCount, torch::kInt32).to(device());
  auto all = torch::empty({gpu().world_size(), kCount}, local.options());
  gpu().all_gather(bytes(local), bytes(all)).wait();
  for (int rank = 0; rank < gpu().world_size(); ++rank) {
    const auto expected =
        host_values(kCount, torch::kInt32, [&](std::size_t i) { return value<std::int64_t>(rank, i); });
    EXPECT_TRUE(torch::equal(all[rank].cpu(), expected)) << "part of rank " << rank;
  }
}

TEST_F(NcclCommunicatorTest, StartsAfterItsProducersAndBeforeItsReaders) {
  constexpr std::int64_t kCount = 4096, kSide = 4096;
  const auto memory = gpu().allocate(kCount * sizeof(float));
  auto tensor = tensor_in(*memory, kCount, torch::kFloat32);
  const auto values = mine(kCount, torch::kFloat32).to(device());
  const auto wide = torch::ones({kSide, kSide}, values.options());
  torch::Tensor twice;
  {
    // Another stream than the default one: that one would be waited for by accident too.
    const c10::impl::VirtualGuardImpl streams(torch::kCUDA);
    torch::cuda::synchronize(device().index());
    const c10::StreamGuard guard(streams.getStreamFromGlobalPool(device()));
    gpu().set_compute_stream(model::current_stream(device()));
    auto slow = wide;
    for (int i = 0; i < 20; ++i) slow = slow.mm(wide) / static_cast<double>(kSide);  // stays 1
    tensor.copy_(values * slow.view(-1).narrow(0, 0, kCount));
    gpu().all_reduce(memory->bytes(), DType::kF32).order_after(model::current_stream(device()));
    twice = (tensor * 2).cpu();
  }
  gpu().set_compute_stream(model::current_stream(device()));
  EXPECT_TRUE(torch::equal(twice, sum(kCount, torch::kFloat32) * 2));
}

TEST_F(NcclCommunicatorTest, WorksFromAnotherThread) {  // as backward's hooks call it
  constexpr std::int64_t kCount = 1000;
  const auto memory = gpu().allocate(kCount * sizeof(double));
  auto tensor = tensor_in(*memory, kCount, torch::kFloat64);
  tensor.copy_(mine(kCount, torch::kFloat64));
  Work work;
  std::thread([&] { work = gpu().all_reduce(memory->bytes(), DType::kF64); }).join();
  work.wait();
  EXPECT_TRUE(torch::equal(tensor.cpu(), sum(kCount, torch::kFloat64)));
}

TEST_F(NcclCommunicatorTest, KeepsTheOrderOfManyStarted) {
  constexpr int kRounds = 50;
  constexpr std::int64_t kCount = 10'000;
  const auto memory = gpu().allocate(kCount * sizeof(std::int64_t));
  auto tensor = tensor_in(*memory, kCount, torch::kInt64);
  std::int64_t expected = 1;
  tensor.fill_(1);
  for (int i = 0; i < kRounds; ++i) {
    gpu().all_reduce(memory->bytes(), DType::kI64).order_after(model::current_stream(device()));
    tensor.remainder_(1'000'003);
    expected = expected * gpu().world_size() % 1'000'003;
  }
  gpu().barrier();
  EXPECT_TRUE(tensor.eq(expected).all().item<bool>());
}

TEST_F(NcclCommunicatorTest, ShowsItsCollectivesOnTheBoardWhereTheDeviceCountsThem) {
  ProgressBoard board(LaunchEnv{});
  constexpr double kDeadlineSeconds = 120;
  const auto communicator = make_nccl_communicator(host(), device().index(), kDeadlineSeconds, &board);
  BoardRow& row = board.mine();
  const std::int64_t before = row.device_collectives;  // the first sum, whose result is checked
  const auto memory = communicator->allocate(4096);
  constexpr int kSums = 3;
  for (int i = 0; i < kSums; ++i) communicator->all_reduce(memory->bytes(), DType::kF32).wait();
  EXPECT_EQ(row.device_collectives, before + kSums);
  communicator->barrier();
  EXPECT_EQ(row.device_finished, before + kSums) << "written by the device itself";
  EXPECT_FALSE(snapshot_of(row, 0).waiting());

  FlightEntry entry;
  const int last = static_cast<int>(row.collective % kFlightEntries);
  ASSERT_TRUE(board.flight(0).read(last, entry));
  EXPECT_EQ(entry.call.kind, CollectiveKind::kAllReduce);
  EXPECT_EQ(entry.call.bytes, 4096U);
  EXPECT_TRUE(entry.finished()) << "found by barrier()";
}

TEST_F(NcclCommunicatorTest, AGraphsCollectivesCountAtEveryLaunch) {
  const c10::impl::VirtualGuardImpl streams(torch::kCUDA);
  const auto before = streams.getStream(device());
  model::use_own_stream(device());
  {
    ProgressBoard board(LaunchEnv{});
    const auto communicator = make_nccl_communicator(host(), device().index(), 120, &board);
    void* const stream = model::current_stream(device());
    communicator->set_compute_stream(stream);
    const auto memory = communicator->allocate(sizeof(float));
    auto value =
        torch::from_blob(memory->bytes().data(), {1}, torch::dtype(torch::kFloat32).device(device()));
    value.fill_(1);
    const auto graph = model::make_device_graph(device());
    communicator->begin_capture();
    graph->capture([&] { communicator->all_reduce(memory->bytes(), DType::kF32).order_after(stream); });
    communicator->end_capture();
    BoardRow& row = board.mine();
    const std::int64_t counted = row.device_collectives;
    constexpr int kLaunches = 3;
    for (int i = 0; i < kLaunches; ++i) {
      communicator->before_launch();
      graph->launch();
      communicator->after_launch();
    }
    EXPECT_EQ(row.device_collectives, counted + kLaunches);
    EXPECT_EQ(value.item<float>(), std::pow(static_cast<float>(communicator->world_size()), kLaunches));
    communicator->barrier();
    EXPECT_EQ(row.device_finished, row.device_collectives) << "written by the device itself";
    EXPECT_FALSE(snapshot_of(row, 0).waiting());
  }
  streams.exchangeStream(before);
}

TEST_F(NcclCommunicatorTest, RefusesARoundedWire) {
  const auto memory = gpu().allocate(64);
  EXPECT_THROW(static_cast<void>(gpu().all_reduce(memory->bytes(), DType::kF32, DType::kBF16)), ConfigError);
}

}  // namespace
}  // namespace rn::dist
