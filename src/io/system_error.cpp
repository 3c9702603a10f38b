#include "io/system_error.h"

#include <cerrno>
#include <system_error>

namespace rn::io {
namespace {

struct Words {
  int error;
  const char* name;
  const char* words;
};

constexpr Words kWords[] = {
    {ENOSPC, "ENOSPC", "the disk is full"},
    {EDQUOT, "EDQUOT", "your disk quota is used up"},
    {EROFS, "EROFS", "the file system is read-only"},
    {EACCES, "EACCES", "its permissions do not allow it"},
    {EPERM, "EPERM", "the system does not permit it"},
    {ENOENT, "ENOENT", "there is no such file or folder"},
    {ENOTDIR, "ENOTDIR", "a part of the path is a file, not a folder"},
    {EISDIR, "EISDIR", "it is a folder"},
    {EEXIST, "EEXIST", "something of this name exists already"},
    {ENOTEMPTY, "ENOTEMPTY", "the folder is not empty"},
    {ELOOP, "ELOOP", "symbolic links lead in a circle, or a link stands where none may"},
    {ENAMETOOLONG, "ENAMETOOLONG", "the path is too long"},
    {EFBIG, "EFBIG", "the file would become larger than the file system or the limit of the process allows"},
    {EMFILE, "EMFILE", "too many files are open in this process (see ulimit -n)"},
    {ENFILE, "ENFILE", "too many files are open on this machine"},
    {EIO, "EIO", "the device reports an input/output error"},
    {ESTALE, "ESTALE", "the network file system lost the file"},
};

}  // namespace

std::string describe_errno(int error) {
  const std::string system = std::generic_category().message(error);
  for (const Words& known : kWords) {
    if (known.error == error) return cat(known.words, " (", known.name, ": ", system, ")");
  }
  return cat(system, " (errno ", error, ")");
}

void raise_read_error(const std::string& path, int error) {
  throw DataError(cat("cannot read ", path, ": ", describe_errno(error)));
}

void raise_write_error(const std::string& path, int error) {
  throw Error(ExitCode::kFailure, cat("cannot write ", path, ": ", describe_errno(error)));
}

}  // namespace rn::io
