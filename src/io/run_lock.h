// The lock that keeps two runs out of one folder.
#pragma once

#include <string>

namespace rn::io {

// Holds <run_dir>/.lock (flock) from construction to destruction. The system drops it when the process dies,
// however that happens, so a crash never leaves a folder locked. The file stays, since removing it would race
// with the next run; while held it says who holds it: process id, host, time. One per run, taken by rank 0.
class RunLock {
 public:
  // Makes the folder if needed. Throws EnvironmentError (exit 3) naming process and host if a live run holds
  // the folder, or if the file system cannot lock; Error if the folder cannot be written.
  explicit RunLock(const std::string& run_dir);
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  ~RunLock();

  // False: the folder was deleted or moved meanwhile, or another run has taken its name.
  bool is_in_place() const;

 private:
  const std::string path_;
  int fd_ = -1;
};

}  // namespace rn::io
