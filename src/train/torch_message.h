// What LibTorch's errors say to people: without source lines and C++ backtraces.
#pragma once

#include <c10/util/Exception.h>

#include <string>

namespace rn::train {

// Of a GPU or of the host.
bool is_out_of_memory(const c10::Error& error);

std::string message_of(const c10::Error& error);

}  // namespace rn::train
