#include "support/memory_file_system.h"

#include <algorithm>
#include <cerrno>

#include "core/error.h"
#include "io/system_error.h"

namespace rn::testing_support {

enum class Kind { kFile, kDirectory, kLink };

struct MemoryNode {
  using Entries = std::map<std::string, std::shared_ptr<MemoryNode>>;

  explicit MemoryNode(Kind kind_) : kind(kind_) {}

  const Kind kind;
  std::string target;           // of a link
  std::vector<std::byte> data;  // of a file
  std::vector<std::byte> synced_data;
  Entries entries;                      // of a directory
  std::vector<Entries> since_sync{{}};  // its states from the last synced one on, without the current one
};

namespace {

class MemoryFile : public io::WritableFile {
 public:
  MemoryFile(MemoryFileSystem& files, std::shared_ptr<MemoryNode> node, std::string path)
      : files_(files), node_(std::move(node)), path_(std::move(path)) {}

  void append(std::span<const std::byte> bytes) override {
    RN_CHECK(!closed_, "append after close");
    if (bytes.empty()) return;
    // A failing or interrupted write has written a part.
    const auto half = static_cast<std::ptrdiff_t>(bytes.size() / 2);
    try {
      files_.operate("append", path_, true);
    } catch (const Error&) {
      node_->data.insert(node_->data.end(), bytes.begin(), bytes.begin() + half);
      throw;
    }
    node_->data.insert(node_->data.end(), bytes.begin(), bytes.end());
  }
  void share() override { files_.operate("share", path_, false); }
  void sync() override {
    files_.operate("sync", path_, true);
    node_->synced_data = node_->data;
  }
  void close() override {
    files_.operate("close", path_, true);
    closed_ = true;
  }

 private:
  MemoryFileSystem& files_;
  const std::shared_ptr<MemoryNode> node_;
  const std::string path_;
  bool closed_ = false;
};

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  std::string part;
  for (const char c : path + "/") {
    if (c != '/') {
      part += c;
    } else if (!part.empty()) {
      if (part != ".") parts.push_back(part);
      part.clear();
    }
  }
  return parts;
}

}  // namespace

MemoryFileSystem::MemoryFileSystem() : root_(std::make_shared<MemoryNode>(Kind::kDirectory)) {}

void MemoryFileSystem::operate(const std::string& name, const std::string& path, bool needs_room) {
  if (dead_) throw Crash();
  const std::size_t number = log_.size();
  log_.push_back(name + " " + path);
  if (crash_at_ == number) {
    dead_ = true;
    throw Crash();
  }
  if (read_only_from_ && number >= *read_only_from_) io::raise_write_error(path, EROFS);
  if (full_from_ && number >= *full_from_ && needs_room) io::raise_write_error(path, ENOSPC);
  if (fail_once_ && fail_once_->first == number) io::raise_write_error(path, fail_once_->second);
}

MemoryFileSystem::Place MemoryFileSystem::resolve(const std::string& path, bool follow_last,
                                                  int depth) const {
  if (depth > 20) io::raise_read_error(path, ELOOP);
  const auto parts = parts_of(path);
  Place place{root_, "", root_};
  std::string walked;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!place.node) io::raise_read_error(path, ENOENT);
    if (place.node->kind != Kind::kDirectory) io::raise_read_error(path, ENOTDIR);
    const auto found = place.node->entries.find(parts[i]);
    place = {place.node, parts[i], found == place.node->entries.end() ? nullptr : found->second};
    if (place.node && place.node->kind == Kind::kLink && (follow_last || i + 1 < parts.size())) {
      place = resolve(walked + "/" + place.node->target, true, depth + 1);
    }
    walked += "/" + parts[i];
  }
  return place;
}

void MemoryFileSystem::change(const Node& directory, const std::string& name, const Node& node) {
  directory->since_sync.push_back(directory->entries);
  if (node) {
    directory->entries[name] = node;
  } else {
    directory->entries.erase(name);
  }
}

std::unique_ptr<io::WritableFile> MemoryFileSystem::create(const std::string& path) {
  operate("create", path, true);
  const Place place = resolve(path, false);
  if (place.node) io::raise_write_error(path, EEXIST);
  const auto node = std::make_shared<MemoryNode>(Kind::kFile);
  change(place.directory, place.name, node);
  return std::make_unique<MemoryFile>(*this, node, path);
}

std::vector<std::byte> MemoryFileSystem::read(const std::string& path, std::uint64_t max_bytes) {
  if (dead_) throw Crash();
  const Place place = resolve(path, true);
  if (!place.node) io::raise_read_error(path, ENOENT);
  if (place.node->kind != Kind::kFile) io::raise_read_error(path, EISDIR);
  if (place.node->data.size() > max_bytes) throw DataError(path + " has more bytes than it may have");
  return place.node->data;
}

bool MemoryFileSystem::exists(const std::string& path) {
  if (dead_) throw Crash();
  try {
    return resolve(path, true).node != nullptr;
  } catch (const DataError&) {
    return false;
  }
}

std::vector<std::string> MemoryFileSystem::list(const std::string& directory) {
  if (dead_) throw Crash();
  const Place place = resolve(directory, true);
  if (!place.node) io::raise_read_error(directory, ENOENT);
  if (place.node->kind != Kind::kDirectory) io::raise_read_error(directory, ENOTDIR);
  std::vector<std::string> names;
  for (const auto& [name, node] : place.node->entries) names.push_back(name);
  return names;
}

void MemoryFileSystem::make_directory(const std::string& path) {
  operate("make_directory", path, true);
  std::string walked;
  for (const std::string& part : parts_of(path)) {
    walked += "/" + part;
    const Place place = resolve(walked, true);
    if (!place.node) {
      change(place.directory, place.name, std::make_shared<MemoryNode>(Kind::kDirectory));
      place.directory->since_sync = {place.directory->entries};
    }
    if (place.node && place.node->kind != Kind::kDirectory) io::raise_write_error(path, ENOTDIR);
  }
}

void MemoryFileSystem::rename(const std::string& from, const std::string& to) {
  operate("rename", from + " " + to, false);
  const Place source = resolve(from, false), goal = resolve(to, false);
  if (!source.node) io::raise_write_error(to, ENOENT);
  // One directory, so that the rename is one change of one node, as it is in everything tested here.
  RN_CHECK(source.directory == goal.directory, "rename between folders");
  if (goal.node && goal.node->kind == Kind::kDirectory) {
    if (source.node->kind != Kind::kDirectory) io::raise_write_error(to, EISDIR);
    if (!goal.node->entries.empty()) io::raise_write_error(to, ENOTEMPTY);
  } else if (goal.node && source.node->kind == Kind::kDirectory) {
    io::raise_write_error(to, ENOTDIR);
  }
  source.directory->since_sync.push_back(source.directory->entries);
  source.directory->entries.erase(source.name);
  source.directory->entries[goal.name] = source.node;
}

void MemoryFileSystem::remove(const std::string& path) {
  operate("remove", path, false);
  const Place place = resolve(path, false);
  if (!place.node) io::raise_write_error(path, ENOENT);
  if (place.node->kind == Kind::kDirectory && !place.node->entries.empty())
    io::raise_write_error(path, ENOTEMPTY);
  change(place.directory, place.name, nullptr);
}

void MemoryFileSystem::symlink(const std::string& target, const std::string& path) {
  operate("symlink", path, true);
  const Place place = resolve(path, false);
  if (place.node) io::raise_write_error(path, EEXIST);
  const auto node = std::make_shared<MemoryNode>(Kind::kLink);
  node->target = target;
  change(place.directory, place.name, node);
}

std::string MemoryFileSystem::read_link(const std::string& path) {
  if (dead_) throw Crash();
  try {
    const Place place = resolve(path, false);
    return place.node && place.node->kind == Kind::kLink ? place.node->target : "";
  } catch (const DataError&) {
    return "";
  }
}

void MemoryFileSystem::sync_directory(const std::string& path) {
  operate("sync_directory", path, true);
  const Place place = resolve(path, true);
  if (!place.node || place.node->kind != Kind::kDirectory) io::raise_write_error(path, ENOENT);
  place.node->since_sync = {place.node->entries};
}

std::vector<std::byte>& MemoryFileSystem::content(const std::string& path) {
  const Place place = resolve(path, true);
  RN_CHECK(place.node && place.node->kind == Kind::kFile, "no file ", path);
  return place.node->data;
}

std::unique_ptr<MemoryFileSystem> MemoryFileSystem::after_crash(
    const std::function<std::size_t(std::size_t)>& draw) const {
  // One node survives in one state, under however many names the directories give it.
  std::map<const MemoryNode*, Node> survivors;
  const std::function<Node(const Node&)> survive = [&](const Node& node) -> Node {
    if (const auto known = survivors.find(node.get()); known != survivors.end()) return known->second;
    auto copy = std::make_shared<MemoryNode>(node->kind);
    survivors[node.get()] = copy;
    copy->target = node->target;
    if (node->kind == Kind::kFile) {
      copy->data = node->synced_data;
      if (node->data != node->synced_data) {
        switch (draw(4)) {
          case 1:  // the length became durable and the data did not
            copy->data.resize(node->data.size());
            break;
          case 2:
            copy->data.assign(node->data.begin(),
                              node->data.begin() + static_cast<std::ptrdiff_t>(node->data.size() / 2));
            break;
          case 3:
            copy->data = node->data;
            break;
          default:
            break;
        }
      }
      copy->synced_data = copy->data;
    } else if (node->kind == Kind::kDirectory) {
      const auto& states = node->since_sync;
      const std::size_t drawn =
          states.size() > 1 || states.back() != node->entries ? draw(states.size() + 1) : 0;
      for (const auto& [name, child] : drawn < states.size() ? states[drawn] : node->entries) {
        copy->entries[name] = survive(child);
      }
      copy->since_sync = {copy->entries};
    }
    return copy;
  };
  auto survivor = std::make_unique<MemoryFileSystem>();
  survivor->root_ = survive(root_);
  return survivor;
}

}  // namespace rn::testing_support
