// SHA-256 of files, to recognise the official archive.
#pragma once

#include <string>

namespace rn::data {

// 64 lower-case hexadecimal digits. Throws DataError when the file cannot be read.
std::string sha256_of_file(const std::string& path);

}  // namespace rn::data
