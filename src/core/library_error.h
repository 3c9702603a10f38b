// An error that a library raised, with what only a developer wants to know of it.
#pragma once

#include <string>
#include <utility>

#include "core/error.h"

namespace rn {

class LibraryError : public InternalError {
 public:
  // `message` is for people; `details`, such as a backtrace, goes into failure.json only.
  LibraryError(const std::string& message, std::string details)
      : InternalError(message), details_(std::move(details)) {}
  const std::string& details() const { return details_; }

 private:
  std::string details_;
};

}  // namespace rn
