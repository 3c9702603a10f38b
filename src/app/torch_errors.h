// LibTorch's errors carry a C++ backtrace in their what(): kept out of people's sight.
#pragma once

#include <c10/util/Exception.h>

#include <functional>
#include <string>

#include "core/error.h"

namespace rn::app {

std::string words_for(const c10::Error& error);

// `body`, with an error of LibTorch turned into a LibraryError without the backtrace.
std::function<ExitCode()> with_plain_errors(std::function<ExitCode()> body);

}  // namespace rn::app
