#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/digest.h"

namespace tidewheel::ingestion {

enum class Split { kTraining, kValidation, kTest };
/// "training", "validation", "test".
std::string_view Name(Split split);
/// The split of that name, or none.
std::optional<Split> SplitFrom(std::string_view name);

enum class ReasonCode {
  kUndecodable,
  kTooSmall,
  kTooLarge,
  kUnderexposed,
  kOverexposed,
  kBlurred,
  kExactDuplicate,
  kNearDuplicate,
};
/// "undecodable", "too_small" and so on: words of tables, metrics and reports.
std::string_view Name(ReasonCode code);
std::optional<ReasonCode> ReasonCodeFrom(std::string_view name);
inline constexpr std::array kReasonCodes = {
    ReasonCode::kUndecodable,    ReasonCode::kTooSmall,     ReasonCode::kTooLarge,
    ReasonCode::kUnderexposed,   ReasonCode::kOverexposed,  ReasonCode::kBlurred,
    ReasonCode::kExactDuplicate, ReasonCode::kNearDuplicate};

/// Why a sample was set aside.
struct Reason {
  ReasonCode code = ReasonCode::kUndecodable;
  std::string message;    // With the measured value and the limit.
  std::string sample_id;  // For duplicates: the sample that is there.

  friend bool operator==(const Reason&, const Reason&) = default;
};

/// The prediction that a payload was captured for.
struct CapturedRequest {
  std::string request_id;
  std::uint32_t index = 0;           // Which payload of the request, from 0.
  std::string because{};             // "uncertain", "out_of_distribution" or "random".
  double inclusion_probability = 0;  // Of "random", else 0.

  friend bool operator==(const CapturedRequest&, const CapturedRequest&) = default;
};

/// A sample on its way in. The views live as long as the request.
struct NewSample {
  std::string_view payload;
  std::string name;
  std::string source;
  std::optional<Timestamp> collected_at;
  std::map<std::string, std::string> metadata;
  std::string group;                       // Empty: one of its own, or that of a near duplicate.
  std::optional<CapturedRequest> request;  // Nothing: pushed.
};

/// A 128-bit difference hash.
using PictureHash = std::array<std::uint64_t, 2>;

/// What examining a payload found.
struct Examination {
  bool decoded = false;
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::string content_type;  // "image/jpeg"; empty when it is not known.
  std::map<std::string, double> measures;
  PictureHash hash{};
  std::vector<Reason> reasons;  // Empty: good.
};

/// A sample as it is stored.
struct Sample {
  std::string id;
  std::string task;
  Digest sha256;
  std::string payload_ref;
  std::string name;
  std::string source;
  Timestamp collected_at{};
  Timestamp added_at{};
  std::optional<Timestamp> deactivated_at;
  std::map<std::string, std::string> metadata;
  std::string group;
  Split split = Split::kTraining;
  std::map<std::string, double> measures;
  PictureHash hash{};
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::uint64_t size_bytes = 0;
  std::string content_type;
  std::optional<CapturedRequest> request;  // Nothing: pushed.
};

/// Something that was set aside, with its payload.
struct QuarantinedSample {
  std::string id;
  std::string task;
  Digest sha256;
  std::string payload_ref;
  std::string name;
  std::string source;
  std::vector<Reason> reasons;
  std::uint64_t size_bytes = 0;
  Timestamp quarantined_at{};
  // On their way in alone; they are not kept.
  Timestamp collected_at{};
  std::optional<CapturedRequest> request;

  /// Of a duplicate: the sample that is there. Empty for others.
  std::string TwinId() const;
};

enum class Disposition { kAccepted, kUnchanged, kQuarantined };

/// What became of a pushed sample.
struct Verdict {
  Disposition disposition = Disposition::kAccepted;
  std::string
      sample_id;  // Of the stored one; empty for quarantined ones that are no exact duplicates.
  Digest sha256;
  std::vector<Reason> reasons;
  std::optional<Split> split;
};

}  // namespace tidewheel::ingestion
