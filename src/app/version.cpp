#include "app/version.h"

#include <ATen/Parallel.h>
#include <curl/curl.h>
#include <openssl/crypto.h>
#include <torch/version.h>
#include <zlib.h>

#include <fstream>

#include "app/build_info.h"
#include "core/error.h"
#include "core/host_name.h"
#include "data/picture.h"
#include "dist/library_versions.h"

namespace rn::app {
namespace {

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

}  // namespace

std::string version_line() {
  return cat("rn_dist ", kVersion, " (", kGitState, ", ", kFlavour, ", LibTorch ", TORCH_VERSION, ")");
}

std::string version_text() {
  const std::string nccl = dist::nccl_version();
  return cat(version_line(), "\n  compiler  ", kCompiler, "\n  MPI       ", dist::mpi_version(),
             "\n  NCCL      ", nccl.empty() ? "not in this build" : nccl, "\n  libcurl   ", curl_version(),
             "\n  zlib      ", zlibVersion(), "\n  images    ", data::picture_libraries(), "\n  OpenSSL   ",
             OpenSSL_version(OPENSSL_VERSION), "\n  CPU       ", cpu_name(), " (", at::get_cpu_capability(),
             ")\n");
}

nlohmann::json environment_json(dist::Session& session) {
  return {
      {"world_size", session.host().world_size()},
      {"backend", std::string(session.communicator().backend())},
      {"devices", session.device_index() < 0 ? cat("cpu, ", session.threads(), " thread(s) per rank")
                                             : cat("cuda:", session.device_index(), " and on, one per rank")},
      {"cpu", cpu_name()},
      {"host", host_name()},
      {"threads", session.threads()},
      {"versions",
       {{"rn_dist", kVersion},
        {"git", kGitState},
        {"flavour", kFlavour},
        {"torch", TORCH_VERSION},
        {"mpi", dist::mpi_version()},
        {"nccl", dist::nccl_version()}}}};
}

}  // namespace rn::app
