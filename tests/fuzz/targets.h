// The readers of what comes from outside, each behind a function that eats any bytes.
//
// A target returns for every input. What a reader refuses must be its documented error; whatever else leaves
// it (another exception, a failed check, a sanitizer's finding) is a bug. What a reader accepts must hold
// together: a target throws Finding where it does not. The same functions serve libFuzzer (fuzzer_main.cpp,
// -DRN_FUZZ=ON) and the test suite, which feeds them the corpus and mutations of it (fuzz_test.cpp).
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>

namespace rn::fuzz {

using Input = std::span<const std::byte>;

class Finding : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

void safetensors(Input input);
void manifest(Input input);      // as it is, and with the right hash at its end
void cifar_binary(Input input);  // first byte: how many records are expected
void pickle(Input input);        // first byte: how many records are expected
void tar(Input input);           // first byte: the size of the pieces that it comes in
void picture(Input input);       // PNG and JPEG, by their first bytes
void config(Input input);
void metrics(Input input);  // metrics.jsonl, read by a resumed run; first byte: the step

struct Target {
  const char* name;  // also that of its folder in corpus/
  void (*run)(Input);
};
inline constexpr Target kTargets[] = {
    {"safetensors", safetensors}, {"manifest", manifest}, {"cifar_binary", cifar_binary},
    {"pickle", pickle},           {"tar", tar},           {"picture", picture},
    {"config", config},           {"metrics", metrics}};

inline std::string text_of(Input input) {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}

inline void expect(bool condition, const char* what) {
  if (!condition) throw Finding(what);
}

// The first byte of an input as a number, 0 where there is none, and the rest.
inline std::pair<unsigned, Input> split_number(Input input) {
  if (input.empty()) return {0, input};
  return {std::to_integer<unsigned>(input.front()), input.subspan(1)};
}

}  // namespace rn::fuzz
