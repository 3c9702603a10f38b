#include "train/torch_message.h"

namespace rn::train {
namespace {

// The allocator of host memory has no error class of its own; its words follow on a source line.
constexpr std::string_view kHostAllocator = "DefaultCPUAllocator: ";

}  // namespace

bool is_out_of_memory(const c10::Error& error) {
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         error.msg().find(kHostAllocator) != std::string::npos;
}

std::string message_of(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  const auto at = text.find(kHostAllocator);
  return at == std::string::npos ? text : text.substr(at + kHostAllocator.size());
}

}  // namespace rn::train
