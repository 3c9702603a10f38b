#include "data/download.h"

#include <curl/curl.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "core/error.h"
#include "data/download_progress.h"
#include "data/sha256.h"

namespace rn::data {
namespace {

namespace fs = std::filesystem;

constexpr long kConnectSeconds = 30;
constexpr long kStallSeconds = 60;  // without a byte for so long an attempt has failed
constexpr std::uint64_t kProgressBytes = std::uint64_t{1}
                                         << 20;  // so much gained makes the attempts count anew

// curl_global_init once per process; curl has no use after it that needs a cleanup.
void init_curl() {
  static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
  RN_CHECK(result == CURLE_OK, "curl: ", curl_easy_strerror(result));
}

std::uint64_t size_of_file(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : size;
}

// What arrives, appended to the partial file and never beyond the size that the whole file has.
struct Sink {
  std::ofstream file;
  std::uint64_t size = 0;
  std::uint64_t limit = 0;
  bool too_long = false;
  DownloadProgress* progress = nullptr;
};

std::size_t receive(char* data, std::size_t one, std::size_t count, void* user) {
  auto& sink = *static_cast<Sink*>(user);
  const std::size_t bytes = one * count;
  sink.too_long = sink.size + bytes > sink.limit;
  if (sink.too_long || !sink.file.write(data, static_cast<std::streamsize>(bytes)))
    return 0;  // 0: curl stops
  sink.size += bytes;
  sink.progress->update(sink.size);
  return bytes;
}

struct Attempt {
  bool complete = false;
  bool retry = false;          // the same source may do better the next time
  bool range_refused = false;  // the source cannot continue at our offset
  std::string error;
};

Attempt classify(CURLcode result, long status, const Sink& sink, const char* detail) {
  Attempt attempt;
  const std::string reason = *detail != '\0' ? detail : curl_easy_strerror(result);
  attempt.range_refused = result == CURLE_RANGE_ERROR || status == 416;
  if (sink.too_long) {
    attempt.error = cat("sends more than the ", sink.limit, " bytes of the official file");
  } else if (result == CURLE_OK) {
    attempt.complete = sink.size == sink.limit;
    attempt.retry = !attempt.complete;
    attempt.error = cat("ended after ", sink.size, " of ", sink.limit, " bytes");
  } else if (result == CURLE_WRITE_ERROR) {
    throw Error(ExitCode::kFailure, "[data] writing the download failed: is the disk full?");
  } else {
    attempt.error = reason;
    attempt.retry = result != CURLE_COULDNT_RESOLVE_HOST && result != CURLE_COULDNT_RESOLVE_PROXY &&
                    result != CURLE_UNSUPPORTED_PROTOCOL && result != CURLE_URL_MALFORMAT &&
                    result != CURLE_PEER_FAILED_VERIFICATION &&
                    (status < 400 || status == 429 || status >= 500);
  }
  return attempt;
}

class Downloader {
 public:
  Downloader(const DownloadRequest& request, std::ostream& out)
      : request_(request),
        part_(request.path + ".part"),
        out_(out),
        progress_(out, request.size, request.terminal),
        curl_(curl_easy_init(), curl_easy_cleanup) {
    RN_CHECK(curl_ != nullptr, "curl_easy_init");
  }

  void run() {
    if (size_of_file(part_) > request_.size) fs::remove(part_);
    std::string failures;
    std::string bad_checksum;
    for (const auto& url : request_.urls) {
      const std::string error = fetch_from(url);
      if (error.empty()) {
        const std::string actual = sha256_of_file(part_);
        if (actual == request_.sha256) return fs::rename(part_, request_.path);
        fs::remove(part_);  // resuming a wrong file would never make it right
        bad_checksum = cat("sha256 ", actual, " instead of ", request_.sha256);
        failures += cat("\n  ", url, ": ", bad_checksum);
      } else {
        failures += cat("\n  ", url, ": ", error);
      }
    }
    fail(failures, !bad_checksum.empty());
  }

 private:
  [[noreturn]] void fail(const std::string& failures, bool bad_checksum) const {
    if (bad_checksum) {
      throw DataError(cat("[data] what was downloaded is not the official file and was removed:", failures,
                          "\nTry again, or name another source with --mirror URL."));
    }
    const auto kept = size_of_file(part_);
    throw Error(
        ExitCode::kFailure,
        cat("[data] the download failed:", failures, "\nRun the same command again",
            kept > 0 ? cat(" to continue (", kept, " of ", request_.size, " bytes are kept in ", part_, ")")
                     : "",
            ". Behind a proxy set https_proxy; another source is named with --mirror URL; or copy the "
            "archive "
            "here from elsewhere and use: rn_dist data import ARCHIVE"));
  }

  // Empty when the partial file has its full size; else why this source failed for good.
  std::string fetch_from(const std::string& url) {
    auto delay = request_.retry_delay;
    std::string error;
    for (int tries = 0; tries < request_.attempts; ++tries) {
      const std::uint64_t before = size_of_file(part_);
      if (before == request_.size) return {};
      if (!error.empty()) {
        out_ << "  " << error << "; trying again\n" << std::flush;
        std::this_thread::sleep_for(delay);
        delay *= 2;
      }
      const Attempt attempt = attempt_once(url, before);
      progress_.finish_line();
      if (attempt.complete) return {};
      error = attempt.error;
      if (attempt.range_refused && before > 0) {
        fs::remove(part_);  // start over, at once
        error.clear();
        continue;
      }
      if (!attempt.retry) break;
      if (size_of_file(part_) >= before + kProgressBytes) {
        tries = -1;
        delay = request_.retry_delay;
      }
    }
    return error.empty() ? "cannot continue a partial download" : error;
  }

  Attempt attempt_once(const std::string& url, std::uint64_t offset) {
    Sink sink;
    sink.file.open(part_, std::ios::binary | std::ios::app);
    if (!sink.file) throw Error(ExitCode::kFailure, cat("[data] cannot write ", part_));
    sink.size = offset;
    sink.limit = request_.size;
    sink.progress = &progress_;
    out_ << (offset > 0 ? "Continuing " : "Downloading ") << url;
    if (offset > 0) out_ << " at byte " << offset;
    out_ << '\n' << std::flush;
    progress_.start(offset);

    CURL* curl = curl_.get();
    char detail[CURL_ERROR_SIZE] = "";
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,ftp,file");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else  // before 7.85 protocols have no names
    constexpr long kHttp = CURLPROTO_HTTP | CURLPROTO_HTTPS;
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, kHttp | CURLPROTO_FTP | CURLPROTO_FILE);
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS, kHttp);
#endif
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, kStallSeconds);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "rn_dist");
    curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(offset));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);
    const CURLcode result = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    sink.file.close();
    if (sink.file.fail() && !sink.too_long) {
      throw Error(ExitCode::kFailure, cat("[data] writing ", part_, " failed: is the disk full?"));
    }
    return classify(result, status, sink, detail);
  }

  const DownloadRequest& request_;
  const std::string part_;
  std::ostream& out_;
  DownloadProgress progress_;
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl_;
};

}  // namespace

void download_file(const DownloadRequest& request, std::ostream& progress) {
  RN_CHECK(!request.urls.empty() && request.size > 0 && request.attempts > 0);
  init_curl();
  Downloader(request, progress).run();
}

}  // namespace rn::data
