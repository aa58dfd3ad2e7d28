#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/ingestion/domain/sample.h"

namespace tidewheel::ingestion {

struct PageRequest {
  std::size_t size = 100;
  std::string token;
};

template <typename T>
struct Page {
  std::vector<T> items;
  std::string next_token;
};

/// A payload under its name.
struct PushedName {
  Digest sha256;
  std::string name;
};

/// What is known of a payload.
struct KnownSample {
  std::string id;
  std::string name;
  Split split = Split::kTraining;
};

/// What is known of pushed names, each in the order asked.
struct KnownPushes {
  std::vector<std::optional<KnownSample>> samples;  // The task's sample with these bytes.
  std::vector<std::optional<std::vector<Reason>>>
      quarantined;  // Set aside under this very name before.
};

/// What to store of one batch, together or not at all.
struct BatchToStore {
  std::vector<Sample> samples;
  std::vector<QuarantinedSample> quarantined;
};

struct SampleFilter {
  std::string task;
  std::optional<Split> split;
  std::string source;
  std::string name;
  bool include_deactivated = false;
  std::string request_id;  // Empty: all; else those that stand for this prediction's payloads.
};

struct SampleCounts {
  std::uint64_t active = 0;
  std::uint64_t deactivated = 0;
  std::uint64_t quarantined = 0;
  std::map<std::string, std::uint64_t> by_split;
  std::map<std::string, std::uint64_t> quarantined_by_reason;
};

/// What the domain needs of storage. Thread-safe.
class SampleStore {
 public:
  virtual ~SampleStore() = default;

  virtual Result<KnownPushes> FindKnown(const std::string& task,
                                        std::span<const PushedName> names) = 0;

  /// Rows, events and which sample stands for which request, in one transaction. False: somebody
  /// else stored the same bytes meanwhile, and nothing of this batch is stored.
  virtual Result<bool> Save(const BatchToStore& batch) = 0;

  virtual Result<std::optional<Sample>> Find(const std::string& id) = 0;
  virtual Result<Page<Sample>> List(const SampleFilter& filter, const PageRequest& page) = 0;
  /// With its event; nothing changes when it is deactivated already. kNotFound.
  virtual Result<Sample> Deactivate(const std::string& id, const std::string& reason,
                                    Timestamp now) = 0;
  virtual Result<Page<QuarantinedSample>> ListQuarantine(const std::string& task,
                                                         std::optional<ReasonCode> reason,
                                                         const PageRequest& page) = 0;
  virtual Result<SampleCounts> Count(const std::string& task) = 0;
};

/// A payload and the SHA-256 of its bytes.
struct HashedPayload {
  std::string_view bytes;
  Digest sha256;
};

/// Where payloads are kept. Thread-safe.
class PayloadStore {
 public:
  virtual ~PayloadStore() = default;
  /// One reference a payload; all are durable on return. kResourceExhausted: the disk is full.
  virtual Result<std::vector<std::string>> PutMany(std::span<const HashedPayload> payloads) = 0;
  virtual Result<std::string> Get(const std::string& ref) const = 0;
};

}  // namespace tidewheel::ingestion
