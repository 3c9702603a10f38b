// One thread that executes started collectives in order.
//
// After a failure nothing more is executed: what is pending or started later completes with the same error,
// since the ranks no longer agree on where they are.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "core/communicator.h"

namespace rn::dist {

class CollectiveQueue {
 public:
  // `abandoned` (borrowed) is set by abandon(); what runs on the thread must watch it in every wait and then
  // throw.
  explicit CollectiveQueue(std::atomic<bool>& abandoned);
  // Finishes what was started; abandons it when an exception is unwinding this rank.
  ~CollectiveQueue();
  CollectiveQueue(const CollectiveQueue&) = delete;
  CollectiveQueue& operator=(const CollectiveQueue&) = delete;

  // `run` is executed on the thread after everything started before. Called from one thread.
  [[nodiscard]] Work start(std::function<void()> run);

  // Lets go of all that is not finished: it completes with an error instead of waiting for peers. Returns at
  // once.
  void abandon() noexcept;

 private:
  class Task;
  void serve();
  void execute(Task& task);

  std::atomic<bool>& abandoned_;
  std::exception_ptr failure_;  // of the thread: the first error
  std::mutex mutex_;
  std::condition_variable started_;
  std::deque<std::shared_ptr<Task>> tasks_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::thread thread_;
};

}  // namespace rn::dist
