// A file system in memory that knows what a crash would lose, for replaying crashes and full disks.
//
// Every node has a current state and those it had since its last sync. A crash leaves of each file what was
// synced, all, or a part, and of each directory any state between its last sync and now, independently of
// each other: more than any real file system loses. Every call that changes something is an operation with a
// number; a test stops the world at one (Crash) or lets it and the following ones fail with a reason (Error,
// as the real one throws).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/file_system.h"

namespace rn::testing_support {

// The process died in this operation. Later operations of the dead process throw it too, and do nothing.
class Crash : public std::runtime_error {
 public:
  Crash() : std::runtime_error("the process died") {}
};

struct MemoryNode;

class MemoryFileSystem : public io::FileSystem {
 public:
  MemoryFileSystem();

  std::unique_ptr<io::WritableFile> create(const std::string& path) override;
  std::vector<std::byte> read(const std::string& path, std::uint64_t max_bytes) override;
  bool exists(const std::string& path) override;
  std::vector<std::string> list(const std::string& directory) override;
  void make_directory(const std::string& path) override;
  void rename(const std::string& from, const std::string& to) override;
  void remove(const std::string& path) override;
  void symlink(const std::string& target, const std::string& path) override;
  std::string read_link(const std::string& path) override;
  void sync_directory(const std::string& path) override;

  // Operations done so far, and their names ("rename run/a run/b") in order.
  std::size_t operations() const { return log_.size(); }
  const std::vector<std::string>& log() const { return log_; }

  void crash_at(std::size_t operation) { crash_at_ = operation; }

  // From this operation on, those that need room (create, append, sync, ...) fail with ENOSPC, removing
  // works.
  void fill_disk_at(std::size_t operation) { full_from_ = operation; }
  // Only this operation fails, with this errno.
  void fail_once_at(std::size_t operation, int error) { fail_once_ = {operation, error}; }
  // From this operation on every change fails with EROFS.
  void make_read_only_at(std::size_t operation) { read_only_from_ = operation; }
  void heal() {
    full_from_.reset();
    read_only_from_.reset();
    fail_once_.reset();
  }

  // What a machine finds after it comes up again. `draw(n)` chooses in [0, n): 0 is what was synced, n - 1
  // all that was done; it is asked once per file and directory that has unsynced changes.
  std::unique_ptr<MemoryFileSystem> after_crash(const std::function<std::size_t(std::size_t)>& draw) const;

  // The bytes of a file, to damage them.
  std::vector<std::byte>& content(const std::string& path);

  // Counts an operation, and throws if it is one that must fail. For the files of this file system.
  void operate(const std::string& name, const std::string& path, bool needs_room);

 private:
  using Node = std::shared_ptr<MemoryNode>;
  struct Place {
    Node directory;
    std::string name;
    Node node;  // null: nothing there
  };
  // Follows links on the way; the last part only with follow_last. Throws Error with errno's reason, as
  // raised by `raise`, if a directory on the way is missing.
  Place resolve(const std::string& path, bool follow_last, int depth = 0) const;
  void change(const Node& directory, const std::string& name, const Node& node);

  Node root_;
  std::vector<std::string> log_;
  std::optional<std::size_t> crash_at_, full_from_, read_only_from_;
  std::optional<std::pair<std::size_t, int>> fail_once_;
  bool dead_ = false;
};

}  // namespace rn::testing_support
