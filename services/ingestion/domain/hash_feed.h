#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/ingestion/domain/sample.h"

namespace tidewheel::ingestion {

struct HashedSample {
  std::string sample_id;
  std::string group;
  PictureHash hash{};
};

/// How far a reader of the feed is; start with an empty one.
struct FeedPosition {
  std::string transaction;
  std::string sample_id;
};

/// The hashes of a task's samples in the order they came and went: a reader that goes on from its
/// last position never skips one, whoever stored it. Thread-safe.
class HashFeed {
 public:
  virtual ~HashFeed() = default;
  /// At most `limit` active ones after `position`, which moves behind them.
  virtual Result<std::vector<HashedSample>> ReadOn(const std::string& task, std::size_t limit,
                                                   FeedPosition* position) = 0;
  /// The same for those that were deactivated; some may never have been read as active. A reader
  /// takes them after what was added.
  virtual Result<std::vector<HashedSample>> ReadRemoved(const std::string& task, std::size_t limit,
                                                        FeedPosition* position) = 0;
};

}  // namespace tidewheel::ingestion
