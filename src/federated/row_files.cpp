#include "federated/row_files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "io/system_error.h"

namespace rn::federated {
namespace {

constexpr char kWayOut[] = ". Make room there, or raise federated.client_state_mib";

// A flat folder, or a link to anything: what that points to stays.
void remove_folder(io::FileSystem& files, const std::string& folder) {
  if (files.read_link(folder).empty()) {
    for (const auto& name : files.list(folder)) files.remove(folder + "/" + name);
  }
  files.remove(folder);
}

[[noreturn]] void fail_to_read(const std::string& path, const std::string& why) {
  throw Error(ExitCode::kFailure,
              cat("the state of a client cannot be read back from ", path, ": ", why, kWayOut));
}

}  // namespace

void remove_row_folders(io::FileSystem& files, const std::string& above) {
  try {
    if (!files.exists(above) || !files.read_link(above).empty()) return;
    for (const auto& name : files.list(above)) remove_folder(files, above + "/" + name);
    files.remove(above);
  } catch (const Error& error) {
    log_warning("the state of clients of an earlier part of the run stays in ", above, ": ", error.what());
  }
}

MappedRow::MappedRow(const std::string& path, std::size_t size) : size_(size) {
  // O_NONBLOCK: opening a named pipe must not wait for its writer.
  const int file = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) fail_to_read(path, errno == ELOOP ? "it is a link" : io::describe_errno(errno));
  struct stat status{};
  const bool fits = ::fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
                    static_cast<std::size_t>(status.st_size) == size;
  memory_ = fits ? ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
  const int error = errno;
  ::close(file);
  if (!fits) fail_to_read(path, cat("it is no file of ", size, " bytes any more"));
  if (memory_ == MAP_FAILED) fail_to_read(path, io::describe_errno(error));
}

MappedRow::~MappedRow() { ::munmap(memory_, size_); }

RowFiles::RowFiles(io::FileSystem& files, std::string folder, std::size_t row_bytes)
    : files_(files), folder_(std::move(folder)), row_bytes_(row_bytes) {}

RowFiles::~RowFiles() {
  if (!folder_made_) return;
  try {
    remove_folder(files_, folder_);
  } catch (const std::exception& error) {
    log_warning("the state of clients stays in ", folder_, ": ", error.what());
    return;
  }
  try {
    files_.remove(io::parent_of(folder_));
  } catch (const std::exception&) {  // other ranks' folders are still in it
  }
}

std::string RowFiles::path_of(std::int64_t client) const { return cat(folder_, "/", client, ".bin"); }

void RowFiles::make_folder() {
  const std::string above = io::parent_of(folder_);
  if (!files_.read_link(above).empty()) {
    throw Error(ExitCode::kFailure, cat(above,
                                        " is a link, and the state of clients goes into a folder of "
                                        "the run; remove it"));
  }
  // Of a process that was killed; a link goes, and what it points to stays.
  if (files_.exists(folder_) || !files_.read_link(folder_).empty()) remove_folder(files_, folder_);
  files_.make_directory(folder_);
  folder_made_ = true;
}

void RowFiles::write(std::int64_t client, std::span<const std::byte> row) {
  RN_CHECK(!contains(client) && row.size() == row_bytes_, client, ": ", row.size(), " of ", row_bytes_);
  try {
    if (!folder_made_) make_folder();
    const auto file = files_.create(path_of(client));
    file->append(row);
    file->close();
  } catch (const Error& error) {
    throw Error(ExitCode::kFailure, cat("the state of a client cannot be written: ", error.what(), kWayOut));
  }
  clients_.insert(client);
}

std::shared_ptr<const MappedRow> RowFiles::map(std::int64_t client) const {
  RN_CHECK(contains(client), client);
  return std::make_shared<const MappedRow>(path_of(client), row_bytes_);
}

void RowFiles::remove(std::int64_t client) {
  RN_CHECK(clients_.erase(client) == 1, client);
  files_.remove(path_of(client));
}

}  // namespace rn::federated
