// File operations behind an interface, so that tests can inject full disks and replay crashes.
//
// Everything that a run must not lose (checkpoints, manifests, links, summaries) is written through it.
// All functions throw Error naming the path and the system's reason in words: DataError (exit 4) for reading,
// and Error with exit code 1 for writing (the caller decides whether a failed write ends the run).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace rn::io {

// A file open for writing, created exclusively with mode 0600. Not thread-safe.
class WritableFile {
 public:
  virtual ~WritableFile() = default;  // closes, never throws
  virtual void append(std::span<const std::byte> bytes) = 0;
  virtual void
  share() = 0;  // from mode 0600 to what the umask leaves of 0666; call it before publishing the file
  virtual void sync() = 0;   // fsync
  virtual void close() = 0;  // reports errors, unlike the destructor; nothing may follow
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  // Opens a new file. Throws if anything is there under this name, a dangling link included.
  virtual std::unique_ptr<WritableFile> create(const std::string& path) = 0;
  // The whole content of a regular file of at most `max_bytes`.
  virtual std::vector<std::byte> read(const std::string& path, std::uint64_t max_bytes) = 0;
  virtual bool exists(const std::string& path) = 0;  // follows links
  virtual std::vector<std::string> list(
      const std::string& directory) = 0;                     // names, sorted, without "." and ".."
  virtual void make_directory(const std::string& path) = 0;  // and its parents, durably; may exist
  // Replaces a file, link or empty directory that is there. Durable only after sync_directory of the parent.
  virtual void rename(const std::string& from, const std::string& to) = 0;
  virtual void remove(
      const std::string& path) = 0;  // one file, link (not what it points to) or empty directory
  virtual void symlink(const std::string& target, const std::string& path) = 0;
  virtual std::string read_link(const std::string& path) = 0;  // empty: no link of that name
  virtual void sync_directory(const std::string& path) = 0;    // fsync of the directory's entries
};

// The real one. Stateless, so safe to use from any thread; lives as long as the process.
FileSystem& posix_file_system();

// "runs/a/b" -> "runs/a"; "b" -> "."; "/b" -> "/".
std::string parent_of(const std::string& path);

}  // namespace rn::io
