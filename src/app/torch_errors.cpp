#include "app/torch_errors.h"

#include <utility>

#include "core/library_error.h"
#include "train/torch_message.h"

namespace rn::app {

std::string words_for(const c10::Error& error) {
  return cat(train::is_out_of_memory(error) ? "out of memory: " : "[LibTorch] ", train::message_of(error));
}

std::function<ExitCode()> with_plain_errors(std::function<ExitCode()> body) {
  return [body = std::move(body)] {
    try {
      return body();
    } catch (const c10::Error& error) {
      throw LibraryError(words_for(error), error.what());
    }
  };
}

}  // namespace rn::app
