#include "tidewheel/monitoring/notify/http_poster.h"

#include <curl/curl.h>

#include <memory>

namespace tidewheel::monitoring {
namespace {

/// What a server answers is not read.
std::size_t Ignore(char* /*data*/, std::size_t size, std::size_t count, void* /*to*/) {
  return size * count;
}

struct EasyDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

/// Once in a process, before any handle is made.
bool Initialised() {
  static const bool good = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return good;
}

}  // namespace

Result<void> CurlPoster::Post(const std::string& url, const std::string& json,
                              const Headers& headers) {
  if (!Initialised()) return Error{ErrorCode::kInternal, "libcurl cannot be used"};
  const std::unique_ptr<CURL, EasyDeleter> handle(curl_easy_init());
  if (!handle) return Error{ErrorCode::kInternal, "libcurl gives no handle"};
  std::unique_ptr<curl_slist, ListDeleter> lines;
  const auto add = [&](const std::string& line) {
    lines.reset(curl_slist_append(lines.release(), line.c_str()));
  };
  add("Content-Type: application/json");
  add("Expect:");  // No waiting for a 100.
  for (const auto& [name, value] : headers) add(name + ": " + value);

  CURL* const curl = handle.get();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, json.data());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(json.size()));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines.get());
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_.count()));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);  // Other threads have their own.
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Ignore);
  const CURLcode done = curl_easy_perform(curl);
  if (done == CURLE_URL_MALFORMAT || done == CURLE_UNSUPPORTED_PROTOCOL) {
    return Error{ErrorCode::kFailedPrecondition,
                 url.substr(0, 200) + ": " + curl_easy_strerror(done)};
  }
  if (done != CURLE_OK) {
    return Error{ErrorCode::kUnavailable, url.substr(0, 200) + ": " + curl_easy_strerror(done)};
  }
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status >= 200 && status < 300) return {};
  const bool later = status == 408 || status == 429 || status >= 500;
  return Error{later ? ErrorCode::kUnavailable : ErrorCode::kFailedPrecondition,
               url.substr(0, 200) + " answered " + std::to_string(status)};
}

}  // namespace tidewheel::monitoring
