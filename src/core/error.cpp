#include "core/error.h"

namespace rn {

void raise_check_failure(const char* condition, const std::string& message,
                         const std::source_location& where) {
  throw InternalError(cat(where.file_name(), ":", where.line(), " (", where.function_name(), "): ", condition,
                          " does not hold", message.empty() ? "" : ": ", message));
}

}  // namespace rn
