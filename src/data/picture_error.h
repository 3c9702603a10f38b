// What is wrong with a picture, as the end of a sentence that begins with its path.
#pragma once

#include <stdexcept>

namespace rn::data {

class PictureError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace rn::data
