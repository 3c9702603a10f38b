#include "dist/fault_point.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "core/error.h"
#include "dist/monotonic_clock.h"
#include "dist/signal_safe_text.h"

namespace rn::dist {
namespace {

struct Plan {
  std::string fault;
  std::string point;
  int rank = 0;
  std::int64_t step = std::numeric_limits<std::int64_t>::min();
  double seconds = 0.1;
};

[[noreturn]] void refuse(const std::string& text) {
  throw ConfigError(cat("RN_FAULT=", text, " is not FAULT@POINT[:rank=R][:step=S][:seconds=X]"));
}

template <typename Number>
Number number_in(const std::string& plan, std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) refuse(plan);
  return value;
}

Plan parse(const std::string& text) {
  Plan plan;
  const auto at = text.find('@');
  if (at == std::string::npos) refuse(text);
  plan.fault = text.substr(0, at);
  std::string_view rest = std::string_view(text).substr(at + 1);
  plan.point = rest.substr(0, rest.find(':'));
  rest.remove_prefix(plan.point.size());
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view item = rest.substr(0, rest.find(':'));
    rest.remove_prefix(item.size());
    const std::string_view key = item.substr(0, item.find('='));
    if (key.size() == item.size()) refuse(text);
    const std::string_view value = item.substr(key.size() + 1);
    if (key == "rank") {
      plan.rank = number_in<int>(text, value);
    } else if (key == "step") {
      plan.step = number_in<std::int64_t>(text, value);
    } else if (key == "seconds") {
      plan.seconds = number_in<double>(text, value);
    } else {
      refuse(text);
    }
  }
  return plan;
}

const std::optional<Plan>& plan() {
  static const std::optional<Plan> parsed = []() -> std::optional<Plan> {
    const char* text = std::getenv("RN_FAULT");
    return text && *text ? std::optional<Plan>(parse(text)) : std::nullopt;
  }();
  return parsed;
}

bool is_due(std::string_view point, int rank, std::int64_t step) {
  const auto& fault = plan();
  return fault && fault->point == point && fault->rank == rank && step >= fault->step;
}

// Says when it was, for the tests to count the seconds from there.
bool first_time() {
  static std::atomic<bool> done{false};
  if (done.exchange(true)) return false;
  SignalSafeText text;
  text << "rn_fault: " << plan()->fault << " at " << monotonic_ns() << "\n";
  write_all(STDERR_FILENO, text.view());
  return true;
}

void read_behind_the_end_of_a_file() {
  const int file = memfd_create("rn_fault", MFD_CLOEXEC);
  auto* memory = static_cast<volatile char*>(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file, 0));
  (void)memory[0];
}

// Not for a sanitizer to find: the processor's own signal is what is asked for.
[[gnu::no_sanitize("integer-divide-by-zero")]] void divide_by_zero() {
  volatile int zero = 0;
  volatile int one = 1;
  one = one / zero;
  raise(SIGFPE);  // where the processor answers with a number
}

void wait_for_ever() {
  while (true) pause();
}

struct Fault {
  std::string_view name;
  void (*strike)();
};

int* volatile bad_address = reinterpret_cast<int*>(std::uintptr_t{16});  // the compiler must not know

const std::array<Fault, 14> kFaults = {{
    {"kill", [] { raise(SIGKILL); }},
    {"segv", [] { *bad_address = 1; }},
    {"bus", read_behind_the_end_of_a_file},
    {"fpe", divide_by_zero},
    {"ill", [] { raise(SIGILL); }},
    {"abort", [] { std::abort(); }},
    {"stop", [] { raise(SIGSTOP); }},
    {"exit", [] { std::exit(0); }},
    {"vanish", [] { _exit(0); }},
    {"throw", [] { throw std::runtime_error("a fault on purpose"); }},
    {"throw_data", [] { throw DataError("record 7 has the label 12"); }},
    {"throw_memory", [] { throw std::bad_alloc(); }},
    {"throw_numbers", [] { throw NonFiniteError("the loss is not finite"); }},
    {"hang", wait_for_ever},
}};

}  // namespace

bool built_with_fault_points() { return true; }

void fault_point(std::string_view point, int rank, std::int64_t step) {
  if (!is_due(point, rank, step)) return;
  if (plan()->fault == "slow") {
    first_time();
    std::this_thread::sleep_for(std::chrono::duration<double>(plan()->seconds));
    return;
  }
  for (const Fault& fault : kFaults) {
    if (fault.name != plan()->fault || !first_time()) continue;
    fault.strike();
    return;
  }
}

void fault_point_data(FaultData place, std::string_view point, int rank, std::int64_t step,
                      std::span<std::byte> data, DType dtype) {
  constexpr std::size_t kSmallest = 2048;  // gradients: not the vote and other small talk
  if (!is_due(point, rank, step) || data.size() < kSmallest) return;
  // Of a float32 a bit of the exponent: the last one of the mantissa may well be rounded away later.
  if (place == FaultData::kResult && plan()->fault == "flip" && first_time()) data[3] ^= std::byte{0x10};
  if (place == FaultData::kContribution && plan()->fault == "nan" && dtype == DType::kF32 && first_time()) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(data.data(), &nan, sizeof nan);
  }
}

}  // namespace rn::dist
