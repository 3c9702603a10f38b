// A file system that calls a hook before every operation that changes something, and passes it on to another
// one: for slow disks, disks that lie, and processes that are killed at an operation.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/file_system.h"

namespace rn::testing_support {

// Borrows `inner`. The hook runs on the thread that makes the call, with the operation's name as in
// MemoryFileSystem::log() ("append") and its path. An append of more than a byte counts twice, once before
// each of its halves, since a killed process may have written a part.
class HookedFileSystem : public io::FileSystem {
 public:
  using Hook = std::function<void(const std::string& operation, const std::string& path)>;

  HookedFileSystem(io::FileSystem& inner, Hook hook) : inner_(inner), hook_(std::move(hook)) {}

  std::unique_ptr<io::WritableFile> create(const std::string& path) override {
    hook_("create", path);
    return std::make_unique<File>(inner_.create(path), path, hook_);
  }
  void make_directory(const std::string& path) override {
    hook_("make_directory", path);
    inner_.make_directory(path);
  }
  void rename(const std::string& from, const std::string& to) override {
    hook_("rename", to);
    inner_.rename(from, to);
  }
  void remove(const std::string& path) override {
    hook_("remove", path);
    inner_.remove(path);
  }
  void symlink(const std::string& target, const std::string& path) override {
    hook_("symlink", path);
    inner_.symlink(target, path);
  }
  void sync_directory(const std::string& path) override {
    hook_("sync_directory", path);
    inner_.sync_directory(path);
  }
  std::vector<std::byte> read(const std::string& path, std::uint64_t max_bytes) override {
    return inner_.read(path, max_bytes);
  }
  bool exists(const std::string& path) override { return inner_.exists(path); }
  std::vector<std::string> list(const std::string& directory) override { return inner_.list(directory); }
  std::string read_link(const std::string& path) override { return inner_.read_link(path); }

 private:
  class File : public io::WritableFile {
   public:
    File(std::unique_ptr<io::WritableFile> inner, std::string path, const Hook& hook)
        : inner_(std::move(inner)), path_(std::move(path)), hook_(hook) {}
    void append(std::span<const std::byte> bytes) override {
      const std::size_t half = bytes.size() / 2;
      hook_("append", path_);
      if (half > 0) {
        inner_->append(bytes.first(half));
        hook_("append", path_);
      }
      inner_->append(bytes.subspan(half));
    }
    void share() override {
      hook_("share", path_);
      inner_->share();
    }
    void sync() override {
      hook_("sync", path_);
      inner_->sync();
    }
    void close() override {
      hook_("close", path_);
      inner_->close();
    }

   private:
    const std::unique_ptr<io::WritableFile> inner_;
    const std::string path_;
    const Hook& hook_;
  };

  io::FileSystem& inner_;
  const Hook hook_;
};

}  // namespace rn::testing_support
