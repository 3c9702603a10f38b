// A communicator around another one that remembers every collective and fails at a chosen one, for tests.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/communicator.h"
#include "core/error.h"

namespace rn::test {

class FaultyCommunicator : public Communicator {
 public:
  struct Call {
    std::string kind;
    const std::byte* data;
    std::size_t bytes;
    DType dtype;
    DType wire;
  };

  // Borrows `inner`.
  explicit FaultyCommunicator(Communicator& inner) : inner_(inner) {}

  // The n-th collective from now on (0: the next) fails when it is waited for, as a lost peer does.
  void fail_at(std::size_t n) { failing_ = calls.size() + n; }
  std::vector<Call> calls;

  int rank() const override { return inner_.rank(); }
  int world_size() const override { return inner_.world_size(); }
  std::string_view backend() const override { return inner_.backend(); }
  bool on_device() const override { return inner_.on_device(); }
  std::shared_ptr<Buffer> allocate(std::size_t bytes) override { return inner_.allocate(bytes); }
  Work all_reduce(std::span<std::byte> data, DType dtype, DType wire) override {
    if (record({"all_reduce", data.data(), data.size(), dtype, wire})) return failed();
    return inner_.all_reduce(data, dtype, wire);
  }
  Work broadcast(std::span<std::byte> data, int root) override {
    if (record({"broadcast", data.data(), data.size(), DType::kU8, DType::kU8})) return failed();
    return inner_.broadcast(data, root);
  }
  Work all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    if (record({"all_gather", mine.data(), mine.size(), DType::kU8, DType::kU8})) return failed();
    return inner_.all_gather(mine, all);
  }
  void barrier() override {
    if (record({"barrier", nullptr, 0, DType::kU8, DType::kU8})) failed().wait();
    inner_.barrier();
  }
  Communicator& host() override { return *this; }

 private:
  class Failure final : public Work::State {
   public:
    bool done() const override { return true; }
    void wait() override { throw PeerLostError("a peer was lost"); }
    void order_after(void*) override { wait(); }
  };
  bool record(Call call) {
    calls.push_back(std::move(call));
    return calls.size() == failing_ + 1;
  }
  static Work failed() { return Work(std::make_shared<Failure>()); }

  Communicator& inner_;
  std::size_t failing_ = SIZE_MAX - 1;
};

}  // namespace rn::test
