// What the multi-rank training tests share.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "dist/mpi_communicator.h"
#include "train_testing.h"

namespace rn::train::testing {

// One for all tests of the process: its construction is collective.
inline Communicator& communicator() {
  static std::unique_ptr<dist::MpiCommunicator> instance;
  struct Environment : ::testing::Environment {
    void TearDown() override { instance.reset(); }  // before MPI_Finalize
  };
  if (!instance) {
    instance = std::make_unique<dist::MpiCommunicator>();
    ::testing::AddGlobalTestEnvironment(new Environment);
  }
  return *instance;
}

// Whether `mine` holds the same bits on every rank. Collective; the same shape and type everywhere.
inline bool equal_on_all_ranks(const torch::Tensor& mine) {
  const auto local = mine.detach().contiguous().clone();
  const auto ranks = static_cast<std::size_t>(communicator().world_size());
  std::vector<std::byte> all(local.nbytes() * ranks);
  communicator()
      .all_gather({static_cast<const std::byte*>(local.const_data_ptr()), local.nbytes()}, std::span(all))
      .wait();
  for (std::size_t rank = 1; rank < ranks; ++rank) {
    if (std::memcmp(all.data(), all.data() + rank * local.nbytes(), local.nbytes()) != 0) return false;
  }
  return true;
}

inline bool equal_on_all_ranks(const std::vector<std::int64_t>& mine) {
  // Sizes first: the gather below needs them equal.
  const auto size = torch::full({1}, static_cast<std::int64_t>(mine.size()), torch::kInt64);
  if (!equal_on_all_ranks(size)) return false;
  return mine.empty() || equal_on_all_ranks(torch::tensor(mine, torch::kInt64));
}

}  // namespace rn::train::testing
