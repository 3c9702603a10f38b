// Exceptions, exit codes and RN_CHECK.
//
// Inside the program errors are exceptions; the one handler is dist::guarded, which turns them into the exit
// code of the contract and failure.json. Errors that are the user's are one clear message that says what,
// where and what to do next; RN_CHECK guards our own invariants and stays on in release.
#pragma once

#include <source_location>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace rn {

enum class ExitCode : int {
  kDone = 0,
  kFailure = 1,         // any other failure
  kUsage = 2,           // usage or configuration
  kEnvironment = 3,     // environment refused
  kData = 4,            // data or checkpoint missing or corrupt
  kNonFinite = 5,       // non-finite numbers
  kReplicasDiffer = 6,  // replicas differ
  kHang = 7,            // a deadline passed
  kPeerLost = 8,        // a peer was lost
  kRequeue = 75,        // stopped by USR1 or the time limit, with a checkpoint
  kInterrupted = 130,   // stopped by INT, with a checkpoint
  kTerminated = 143,    // stopped by TERM, with a checkpoint
};

// Joins its arguments with operator<<: cat("rank ", 3, " of ", 4).
template <typename... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  static_cast<void>((out << ... << parts));
  return std::move(out).str();
}

// The base of all errors that the program raises itself; carries the exit code that ends the run.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// An error class per exit code that an exception can end with.
template <ExitCode kCode>
class CodedError : public Error {
 public:
  explicit CodedError(const std::string& message) : Error(kCode, message) {}
};
using InternalError = CodedError<ExitCode::kFailure>;         // a broken invariant: our fault
using ConfigError = CodedError<ExitCode::kUsage>;             // configuration or command line: the user's
using EnvironmentError = CodedError<ExitCode::kEnvironment>;  // this machine or launch cannot run it
using DataError = CodedError<ExitCode::kData>;                // data or checkpoint missing or corrupt
using NonFiniteError = CodedError<ExitCode::kNonFinite>;
using ReplicaError = CodedError<ExitCode::kReplicasDiffer>;
using PeerLostError = CodedError<ExitCode::kPeerLost>;

[[noreturn]] void raise_check_failure(const char* condition, const std::string& message,
                                      const std::source_location& where);

}  // namespace rn

// Throws InternalError with file and line when the condition does not hold. Extra arguments are joined by
// cat().
#define RN_CHECK(condition, ...)                                                                      \
  do {                                                                                                \
    if (!(condition)) [[unlikely]]                                                                    \
      ::rn::raise_check_failure(#condition, ::rn::cat(__VA_ARGS__), std::source_location::current()); \
  } while (false)
