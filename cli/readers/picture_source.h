#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"

namespace tidewheel::cli {

/// One picture on its way to ingestion, still encoded.
struct Picture {
  std::string
      name;  // What ingestion recognises it by when it is pushed again; UTF-8, at most 1024 bytes.
  std::string payload;
  std::map<std::string, std::string> metadata;
  std::string group;
  std::optional<Timestamp> collected_at;
};

/// One that is not taken, and why.
struct RefusedPicture {
  std::string name;
  std::string reason;
};

using ReadPicture = std::variant<Picture, RefusedPicture>;

/// How pictures are read and named.
struct ReadOptions {
  std::uint64_t max_payload_bytes = 20u << 20;  // What is larger is refused without being read.
  /// Metadata key that a split found in a path or in a CSV column `split` is written to.
  std::string split_key = "split";
  /// Whether a path component "train", "training", "validation", "test" ... becomes the split.
  bool split_from_path = false;
  /// CSV column that names the group; empty: none.
  std::string group_column;
  /// In folders and archives: also files whose extension is none of a picture.
  bool all_files = false;
};

/// Pictures one after the other; holds one at a time, whatever their number. Not thread-safe.
class PictureSource {
 public:
  virtual ~PictureSource() = default;

  /// The next one; none at the end. An error ends the source: kDataLoss when the file is damaged or
  /// cut off.
  virtual Result<std::optional<ReadPicture>> Next() = 0;

  /// How many will come, where that is known before reading.
  virtual std::optional<std::uint64_t> expected() const { return std::nullopt; }

  /// Files that were passed over because they are no pictures by their extension.
  virtual std::uint64_t skipped() const { return 0; }
};

}  // namespace tidewheel::cli
