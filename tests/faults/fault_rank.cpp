// A run in small, without LibTorch, for faults_test.cpp: every phase, every kind of collective, checkpoints,
// and a state that every number of the run goes into.
//   fault_rank RUN_DIR [MISMATCH RANK]
// MISMATCH: what RANK starts in step 5 differs from what the others start, see start_mismatch. Other faults
// come by RN_FAULT (dist/fault_point.h). Ends with the state's hash in RUN_DIR/result.
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/tensor_hash.h"
#include "dist/session.h"

namespace {

using rn::DType;
using rn::ExitCode;
using rn::dist::Phase;
namespace fs = std::filesystem;

constexpr std::int64_t kSteps = 8;
constexpr std::int64_t kMismatchStep = 5;
constexpr std::size_t kSize = 512;

// What a run is: the step, and numbers that depend on all that was communicated.
struct State {
  std::int64_t step = 0;
  std::int64_t values[kSize] = {};
};

class SmallRun {
 public:
  SmallRun(rn::dist::Session& session, std::string dir, std::string mismatch)
      : session_(session), host_(session.host()), dir_(std::move(dir)), mismatch_(std::move(mismatch)) {}

  ExitCode run() {
    session_.board().enter(Phase::kData);
    load();
    while (state_.step < kSteps) {
      session_.board().begin_step(state_.step);
      train_step();
      ++state_.step;
      if (state_.step % 4 == 0) {
        evaluate();
        save();
      }
    }
    if (host_.rank() == 0) std::ofstream(dir_ + "/result") << hash() << '\n';
    return ExitCode::kDone;
  }

 private:
  std::span<std::byte> values() { return rn::bytes_of(std::span(state_.values)); }
  std::uint64_t hash() { return rn::tensor_hash(values()); }

  void load() {
    if (host_.rank() == 0) {
      std::ifstream(dir_ + "/checkpoint", std::ios::binary)
          .read(reinterpret_cast<char*>(&state_), sizeof state_);
    }
    host_.broadcast(rn::bytes_of(std::span(&state_, 1)), 0).wait();
  }

  void save() {
    session_.board().enter(Phase::kCheckpoint);
    check_replicas();
    if (host_.rank() == 0) {
      std::ofstream(dir_ + "/.checkpoint", std::ios::binary)
          .write(reinterpret_cast<const char*>(&state_), sizeof state_);
      fs::rename(dir_ + "/.checkpoint", dir_ + "/checkpoint");
    }
    host_.barrier();
  }

  void check_replicas() {
    const std::uint64_t mine = hash();
    std::vector<std::uint64_t> all(static_cast<std::size_t>(host_.world_size()));
    host_.all_gather(std::as_bytes(std::span(&mine, 1)), rn::bytes_of(std::span(all))).wait();
    for (const std::uint64_t hash : all) {
      if (hash != all.front()) throw rn::ReplicaError("the replicas differ");
    }
  }

  void train_step() {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const auto rank = static_cast<std::int64_t>(host_.rank());
    if (state_.step == kMismatchStep && !mismatch_.empty()) start_mismatch();

    // A gradient in memory that the ranks share, and one in memory of this rank alone, under way together.
    const auto buffer = host_.allocate(kSize * sizeof(std::int64_t));
    auto* shared = reinterpret_cast<std::int64_t*>(buffer->bytes().data());
    std::vector<float> floats(kSize);
    for (std::size_t i = 0; i < kSize; ++i) {
      shared[i] = (state_.values[i] + rank + static_cast<std::int64_t>(i)) % 1'000'003;
      floats[i] = static_cast<float>((rank + static_cast<std::int64_t>(i)) % 17);
    }
    auto sum = host_.all_reduce(buffer->bytes(), DType::kI64);
    auto float_sum = host_.all_reduce(rn::bytes_of(std::span(floats)), DType::kF32);
    sum.wait();
    float_sum.wait();

    std::vector<std::int64_t> word(kSize, rank * 31 + state_.step);
    host_.broadcast(rn::bytes_of(std::span(word)), static_cast<int>(state_.step) % host_.world_size()).wait();
    const std::int64_t mine = (rank + 1) * (state_.step + 3);
    std::vector<std::int64_t> all(static_cast<std::size_t>(host_.world_size()));
    host_.all_gather(std::as_bytes(std::span(&mine, 1)), rn::bytes_of(std::span(all))).wait();
    host_.barrier();
    for (std::size_t i = 0; i < kSize; ++i) {
      if (!std::isfinite(floats[i])) throw rn::NonFiniteError("the sum is not finite");
      state_.values[i] = 3 * state_.values[i] + shared[i] + static_cast<std::int64_t>(floats[i]) + word[i] +
                         all[i % all.size()];
    }
  }

  void evaluate() {
    session_.board().enter(Phase::kEval);
    std::int64_t counts[2] = {state_.values[0] % 100, 100};
    host_.all_reduce(rn::bytes_of(std::span(counts)), DType::kI64).wait();
    state_.values[1] += counts[0];
  }

  // The others are about to start: allocate of 4096 bytes.
  void start_mismatch() {
    std::vector<std::int64_t> data(kSize);
    const auto bytes = rn::bytes_of(std::span(data));
    if (mismatch_ == "barrier") host_.barrier();
    if (mismatch_ == "size") (void)host_.allocate(8 * kSize * sizeof(std::int64_t));
    if (mismatch_ == "all_reduce") host_.all_reduce(bytes, DType::kI64).wait();
    if (mismatch_ == "broadcast") host_.broadcast(bytes, 0).wait();
    if (mismatch_ == "all_gather") {
      host_
          .all_gather(bytes.subspan(bytes.size() - 64),
                      bytes.first(64 * static_cast<std::size_t>(host_.world_size())))
          .wait();
    }
    // These agree on the allocation first, then differ in one field.
    const auto buffer = host_.allocate(kSize * sizeof(std::int64_t));
    if (mismatch_ == "dtype") host_.all_reduce(buffer->bytes(), DType::kF64).wait();
    if (mismatch_ == "wire") host_.all_reduce(buffer->bytes(), DType::kF32, DType::kBF16).wait();
    if (mismatch_ == "order") {
      host_.all_reduce(bytes.first(2048), DType::kF32).wait();
      host_.all_reduce(buffer->bytes(), DType::kI64).wait();
    }
  }

  rn::dist::Session& session_;
  rn::Communicator& host_;
  const std::string dir_;
  const std::string mismatch_;  // empty: none on this rank
  State state_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 4) return 2;
  rn::dist::DistOptions options;
  options.backend = rn::dist::Backend::kMpi;
  options.init_deadline_seconds = RN_INIT_DEADLINE;
  options.data_deadline_seconds = options.step_deadline_seconds = options.eval_deadline_seconds =
      options.checkpoint_deadline_seconds = RN_DEADLINE;
  rn::dist::Session session(options, 1);
  session.claim_run_folder(argv[1]);
  const bool differs = argc == 4 && session.env().rank == std::atoi(argv[3]);
  SmallRun run(session, argv[1], differs ? argv[2] : "");
  return rn::dist::guarded(session, [&] { return run.run(); });
}
