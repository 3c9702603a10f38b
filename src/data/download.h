// Downloads one file of known size and SHA-256: resumable, from several sources, verified.
//
// Proxies follow curl's environment variables (http_proxy, https_proxy, all_proxy, no_proxy).
#pragma once

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace rn::data {

struct DownloadRequest {
  std::vector<std::string> urls;  // tried in order
  std::string path;               // where the verified file is put; until then the bytes are in path.part
  std::uint64_t size = 0;         // exact, in bytes
  std::string sha256;             // 64 lower-case hexadecimal digits
  int attempts = 4;               // per source, without progress in between
  std::chrono::milliseconds retry_delay{1000};  // doubled at every further attempt
  bool terminal = false;  // progress as one line that is rewritten, instead of a line per tenth
};

// Returns when `path` holds the file. Throws DataError (exit 4) when what was received has another checksum,
// and Error (exit code 1) when no source delivered the whole file: what each said, and how to go on. An
// unfinished download stays in path.part and is continued by the next call. One call per path at a time (the
// caller locks).
void download_file(const DownloadRequest& request, std::ostream& progress);

}  // namespace rn::data
