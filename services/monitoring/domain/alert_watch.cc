#include "tidewheel/monitoring/domain/alert_watch.h"

#include <bit>
#include <cstring>
#include <string_view>

namespace tidewheel::monitoring {
namespace {

constexpr std::uint64_t kModelFormat = 0x7477'6d77'0002;
constexpr std::uint64_t kModelFormatBefore = 0x7477'6d77'0001;  // Without an audit.
constexpr std::uint64_t kSliceFormat = 0x7477'7377'0001;
constexpr std::uint64_t kTaskFormat = 0x7477'7477'0001;
constexpr std::uint64_t kMostItems = 100'000;

/// Writes numbers of 8 bytes, little end first, and texts with their length before them.
class Writer {
 public:
  static constexpr bool kReads = false;
  void Field(std::uint64_t& value) {
    for (int i = 0; i < 8; ++i) bytes_.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  }
  void Field(double& value) {
    auto bits = std::bit_cast<std::uint64_t>(value);
    Field(bits);
  }
  void Field(bool& value) {
    std::uint64_t number = value ? 1 : 0;
    Field(number);
  }
  void Field(Timestamp& time) {
    auto number = static_cast<std::uint64_t>(time.time_since_epoch().count());
    Field(number);
  }
  void Field(std::string& text) {
    std::uint64_t size = text.size();
    Field(size);
    bytes_ += text;
  }
  bool good() const { return true; }
  std::uint64_t format() const { return 0; }  // The newest.
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  static constexpr bool kReads = true;
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  void Field(std::uint64_t& value) {
    value = 0;
    if (bytes_.size() < 8) {
      good_ = false;
      return;
    }
    for (int i = 0; i < 8; ++i) {
      value |= static_cast<std::uint64_t>(
                   static_cast<unsigned char>(bytes_[static_cast<std::size_t>(i)]))
               << (8 * i);
    }
    bytes_.remove_prefix(8);
  }
  void Field(double& value) {
    std::uint64_t bits = 0;
    Field(bits);
    value = std::bit_cast<double>(bits);
  }
  void Field(bool& value) {
    std::uint64_t number = 0;
    Field(number);
    value = number != 0;
  }
  void Field(Timestamp& time) {
    std::uint64_t number = 0;
    Field(number);
    time = Timestamp(std::chrono::microseconds(static_cast<std::int64_t>(number)));
  }
  void Field(std::string& text) {
    std::uint64_t size = 0;
    Field(size);
    if (size > bytes_.size()) {
      good_ = false;
      return;
    }
    text = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
  }
  bool good() const { return good_; }
  std::uint64_t format() const { return format_; }
  void set_format(std::uint64_t format) { format_ = format; }
  bool done() const { return good_ && bytes_.empty(); }

 private:
  std::string_view bytes_;
  std::uint64_t format_ = 0;
  bool good_ = true;
};

template <typename Archive, typename T, typename Each>
void List(Archive& archive, std::vector<T>& items, const Each& each) {
  std::uint64_t size = items.size();
  archive.Field(size);
  if constexpr (Archive::kReads) {
    if (!archive.good() || size > kMostItems) return;
    items.resize(size);
  }
  for (auto& item : items) {
    if (!archive.good()) return;
    each(item);
  }
}

template <typename Archive, typename Value, typename Each>
void Map(Archive& archive, std::map<std::string, Value>& items, const Each& each) {
  std::uint64_t size = items.size();
  archive.Field(size);
  if constexpr (Archive::kReads) {
    for (std::uint64_t i = 0; archive.good() && i < size && i < kMostItems; ++i) {
      std::string name;
      archive.Field(name);
      each(items[name]);
    }
  } else {
    for (auto& [name, value] : items) {
      std::string key = name;
      archive.Field(key);
      each(value);
    }
  }
}

template <typename Archive>
void Fields(Archive& archive, ModelWatch::Block& block) {
  archive.Field(block.outcomes);
  archive.Field(block.errors);
}

template <typename Archive>
void Fields(Archive& archive, ModelWatch::Blocks& blocks) {
  Fields(archive, blocks.current);
  Fields(archive, blocks.before);
  archive.Field(blocks.quiet);
}

template <typename Archive>
void Fields(Archive& archive, std::vector<ModelWatch::JudgedWindow>& windows) {
  List(archive, windows, [&](ModelWatch::JudgedWindow& window) {
    archive.Field(window.kind);
    archive.Field(window.number);
    archive.Field(window.fingerprint);
    archive.Field(window.last_at);
    archive.Field(window.pair_share);
    archive.Field(window.quiet);
    List(archive, window.rare, [&](RareCount& count) {
      auto kind = static_cast<std::uint64_t>(count.kind);
      archive.Field(kind);
      count.kind = static_cast<FindingKind>(kind);
      archive.Field(count.subject);
      archive.Field(count.hits);
      archive.Field(count.rows);
      archive.Field(count.reference_hits);
      archive.Field(count.reference_rows);
    });
  });
}

template <typename Archive>
void Fields(Archive& archive, SliceWatch& watch) {
  Fields(archive, watch.recent);
  archive.Field(watch.quiet);
  archive.Field(watch.at_home);
}

template <typename Archive>
void Fields(Archive& archive, ModelWatch::Audit& audit) {
  archive.Field(audit.expected);
  archive.Field(audit.variance);
  Fields(archive, audit.current);
  List(archive, audit.chunks, [&](stats::AuditedEstimate& chunk) {
    archive.Field(chunk.estimated);
    archive.Field(chunk.band.low);
    archive.Field(chunk.band.high);
    archive.Field(chunk.realized);
  });
}

template <typename Archive>
void Fields(Archive& archive, ModelWatch::Suspicion& suspicion) {
  archive.Field(suspicion.method);
  archive.Field(suspicion.statistic);
  archive.Field(suspicion.threshold);
  archive.Field(suspicion.outcomes);
  archive.Field(suspicion.errors);
  archive.Field(suspicion.since);
  archive.Field(suspicion.until);
  archive.Field(suspicion.delay);
  List(archive, suspicion.telling, [&](std::string& name) { archive.Field(name); });
}

template <typename Archive>
void Fields(Archive& archive, ModelWatch& watch) {
  Fields(archive, watch.recent);
  archive.Field(watch.several_conditions);
  archive.Field(watch.next_outcome);
  archive.Field(watch.detector);
  Fields(archive, watch.all);
  Map(archive, watch.slices, [&](ModelWatch::Blocks& blocks) { Fields(archive, blocks); });
  List(archive, watch.past, [&](ModelWatch::PastOutcome& past) {
    archive.Field(past.at);
    archive.Field(past.wrong);
    archive.Field(past.name);
  });
  bool suspects = watch.suspicion.has_value();
  archive.Field(suspects);
  if (suspects) {
    if constexpr (Archive::kReads) watch.suspicion.emplace();
    Fields(archive, *watch.suspicion);
  }
  if (archive.format() != kModelFormatBefore) Fields(archive, watch.audit);
}
template <typename Archive>
void Fields(Archive& archive, TaskWatch& watch) {
  archive.Field(watch.serving_model);
  archive.Field(watch.serving_at);
  archive.Field(watch.samples);
  archive.Field(watch.quarantined);
  Fields(archive, watch.block);
  Map(archive, watch.annotators, [&](std::string& how) { archive.Field(how); });
}

template <typename Watch>
std::string Written(const Watch& watch, std::uint64_t format) {
  Writer writer;
  writer.Field(format);
  Watch copy = watch;
  Fields(writer, copy);
  return writer.Take();
}

template <typename Watch>
Result<Watch> ReadBack(const std::string& bytes, std::uint64_t expected, std::uint64_t before,
                       const char* what) {
  Watch watch;
  if (bytes.empty()) return watch;
  Reader reader(bytes);
  std::uint64_t format = 0;
  reader.Field(format);
  const bool known = reader.good() && (format == expected || format == before);
  reader.set_format(format);
  if (known) Fields(reader, watch);
  if (!known || !reader.done()) {
    return Error{ErrorCode::kInvalidArgument,
                 std::string("these bytes are no ") + what + " of this release"};
  }
  return watch;
}

}  // namespace

std::string ModelWatch::ToBytes() const { return Written(*this, kModelFormat); }

Result<ModelWatch> ModelWatch::FromBytes(const std::string& bytes) {
  return ReadBack<ModelWatch>(bytes, kModelFormat, kModelFormatBefore, "watch of a model");
}

std::string SliceWatch::ToBytes() const { return Written(*this, kSliceFormat); }

Result<SliceWatch> SliceWatch::FromBytes(const std::string& bytes) {
  return ReadBack<SliceWatch>(bytes, kSliceFormat, kSliceFormat, "watch of a slice");
}

std::string TaskWatch::ToBytes() const { return Written(*this, kTaskFormat); }

Result<TaskWatch> TaskWatch::FromBytes(const std::string& bytes) {
  return ReadBack<TaskWatch>(bytes, kTaskFormat, kTaskFormat, "watch of a task");
}

}  // namespace tidewheel::monitoring
