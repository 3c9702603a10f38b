// Why the system refused, in words that say what to do.
#pragma once

#include <string>

#include "core/error.h"

namespace rn::io {

// "the disk is full (ENOSPC: No space left on device)" for the value of errno.
std::string describe_errno(int error);

[[noreturn]] void raise_read_error(const std::string& path, int error);  // DataError "cannot read PATH: ..."
[[noreturn]] void raise_write_error(const std::string& path,
                                    int error);  // Error, exit code 1, "cannot write PATH: ..."

}  // namespace rn::io
