#include "dist/collective_queue.h"

#include <utility>

#include "core/error.h"
#include "dist/node_barrier.h"

namespace rn::dist {

class CollectiveQueue::Task final : public Work::State {
 public:
  Task(std::function<void()> run, std::atomic<bool>& abandoned)
      : run_(std::move(run)), abandoned_(abandoned) {}

  bool done() const override { return finished_.load(std::memory_order_acquire) != 0; }
  void wait() override {
    finished_.wait(0, std::memory_order_acquire);
    if (error_) std::rethrow_exception(error_);
  }
  void order_after(void*) override { wait(); }
  std::optional<TimeSpan> ran() const override { return ran_; }
  void release() noexcept override {
    // The queue finishes all tasks before it ends, so an unfinished one still has its queue and its flag.
    if (!done() && std::uncaught_exceptions() > 0) abandoned_.store(true);
    finished_.wait(0, std::memory_order_acquire);
  }

  void run() {
    ran_.start = std::chrono::steady_clock::now();
    run_();
    ran_.end = std::chrono::steady_clock::now();
  }
  void finish(std::exception_ptr error) {
    error_ = std::move(error);
    run_ = nullptr;  // what it holds (buffers) is let go before the waiter goes on
    finished_.store(1, std::memory_order_release);
    finished_.notify_all();
  }

 private:
  std::function<void()> run_;
  std::atomic<bool>& abandoned_;
  std::exception_ptr error_;  // written before finished_, as is ran_
  TimeSpan ran_;
  std::atomic<int> finished_{0};
};

CollectiveQueue::CollectiveQueue(std::atomic<bool>& abandoned)
    : abandoned_(abandoned), thread_([this] { serve(); }) {}

CollectiveQueue::~CollectiveQueue() {
  if (std::uncaught_exceptions() > 0) abandon();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  started_.notify_one();
  thread_.join();
}

Work CollectiveQueue::start(std::function<void()> run) {
  auto task = std::make_shared<Task>(std::move(run), abandoned_);
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(task);
  }
  started_.notify_one();
  return Work(std::move(task));
}

void CollectiveQueue::abandon() noexcept { abandoned_.store(true); }

void CollectiveQueue::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    started_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    execute(*task);
    lock.lock();
  }
}

void CollectiveQueue::execute(Task& task) {
  if (!failure_) {
    try {
      if (abandoned_.load()) throw Abandoned{};
      task.run();
    } catch (const Abandoned&) {
      failure_ = std::make_exception_ptr(
          InternalError("[dist] the communicator was abandoned after an earlier error of this rank"));
    } catch (...) {
      failure_ = std::current_exception();
    }
  }
  task.finish(failure_);
}

}  // namespace rn::dist
