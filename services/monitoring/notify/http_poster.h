#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::monitoring {

/// Sends bodies to URLs. Thread-safe.
class HttpPoster {
 public:
  virtual ~HttpPoster() = default;

  using Headers = std::vector<std::pair<std::string, std::string>>;

  /// kUnavailable: may work later (nobody there, no answer in time, 408, 429 or 5xx).
  /// kFailedPrecondition: another answer than 2xx, or a URL that cannot be asked.
  virtual Result<void> Post(const std::string& url, const std::string& json,
                            const Headers& headers) = 0;
};

/// With libcurl: http and https, no redirects.
class CurlPoster final : public HttpPoster {
 public:
  explicit CurlPoster(std::chrono::milliseconds timeout = std::chrono::seconds(5))
      : timeout_(timeout) {}

  Result<void> Post(const std::string& url, const std::string& json,
                    const Headers& headers) override;

 private:
  const std::chrono::milliseconds timeout_;
};

}  // namespace tidewheel::monitoring
