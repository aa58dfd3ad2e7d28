#include "tidewheel/stats/stream_detector.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/adwin.h"
#include "tidewheel/stats/cusum.h"
#include "tidewheel/stats/detector_state.h"
#include "tidewheel/stats/error_rate_detectors.h"
#include "tidewheel/stats/hddm.h"
#include "tidewheel/stats/kswin.h"

namespace tidewheel::stats {
namespace {

constexpr std::string_view kMagic = "TWSD";
constexpr char kVersion = 1;
constexpr std::size_t kHeaderBytes = kMagic.size() + 2;
constexpr std::size_t kWordBytes = 8;

struct Named {
  std::string_view name;
  DetectorKind kind;
};
constexpr std::array<Named, 9> kDetectors = {{{"adwin", DetectorKind::kAdwin},
                                              {"ddm", DetectorKind::kDdm},
                                              {"eddm", DetectorKind::kEddm},
                                              {"hddm_a", DetectorKind::kHddmA},
                                              {"hddm_w", DetectorKind::kHddmW},
                                              {"page_hinkley", DetectorKind::kPageHinkley},
                                              {"kswin", DetectorKind::kKswin},
                                              {"cusum", DetectorKind::kCusum},
                                              {"ewma", DetectorKind::kEwma}}};

void AppendWord(std::string& bytes, std::uint64_t word) {
  for (std::size_t b = 0; b < kWordBytes; ++b) bytes.push_back(static_cast<char>(word >> (8 * b)));
}

std::uint64_t WordAt(std::string_view bytes) {
  std::uint64_t word = 0;
  for (std::size_t b = 0; b < kWordBytes; ++b) {
    word |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[b])) << (8 * b);
  }
  return word;
}

template <typename D>
Result<std::unique_ptr<StreamDetector>> RestoreAs(std::string_view bytes) {
  auto detector = D::Restore(bytes);
  if (!detector) return detector.error();
  return std::unique_ptr<StreamDetector>(std::make_unique<D>(*std::move(detector)));
}

template <typename D>
std::unique_ptr<StreamDetector> MakeAs() {
  return D::Make()->Clone();
}

}  // namespace

std::string_view Name(DetectorKind kind) {
  for (const Named& named : kDetectors) {
    if (named.kind == kind) return named.name;
  }
  return "unknown";
}

Result<DetectorKind> DetectorNamed(std::string_view name) {
  std::string all;
  for (const Named& named : kDetectors) {
    if (named.name == name) return named.kind;
    if (!all.empty()) all += ", ";
    all += named.name;
  }
  return Error{ErrorCode::kNotFound,
               "no stream detector \"" + std::string(name.substr(0, 64)) + "\"; there are " + all};
}

Error StreamDetector::Refusal(double value) const {
  const std::string subject = std::string(Name(kind())) + ": ";
  if (std::isnan(value)) return {ErrorCode::kInvalidArgument, subject + "value is not a number"};
  const std::string told = subject + "value " + std::to_string(value);
  if (binary_) return {ErrorCode::kInvalidArgument, told + " is neither 0 nor 1"};
  if (high_ == 1) return {ErrorCode::kInvalidArgument, told + " is outside [0, 1]"};
  return {ErrorCode::kInvalidArgument, subject + "value is infinite or beyond +-1e90"};
}

std::unique_ptr<StreamDetector> MakeDetector(DetectorKind kind) {
  switch (kind) {
    case DetectorKind::kDdm:
      return MakeAs<Ddm>();
    case DetectorKind::kEddm:
      return MakeAs<Eddm>();
    case DetectorKind::kHddmA:
      return MakeAs<HddmA>();
    case DetectorKind::kHddmW:
      return MakeAs<HddmW>();
    case DetectorKind::kPageHinkley:
      return MakeAs<PageHinkley>();
    case DetectorKind::kKswin:
      return MakeAs<Kswin>();
    case DetectorKind::kCusum:
      return MakeAs<Cusum>();
    case DetectorKind::kEwma:
      return MakeAs<EwmaChart>();
    case DetectorKind::kAdwin:
      break;
  }
  return MakeAs<Adwin>();
}

Result<std::unique_ptr<StreamDetector>> RestoreDetector(std::string_view bytes) {
  const auto reader = StateReader::Open(bytes);
  if (!reader) return reader.error();
  switch (reader->kind()) {
    case DetectorKind::kAdwin:
      return RestoreAs<Adwin>(bytes);
    case DetectorKind::kDdm:
      return RestoreAs<Ddm>(bytes);
    case DetectorKind::kEddm:
      return RestoreAs<Eddm>(bytes);
    case DetectorKind::kHddmA:
      return RestoreAs<HddmA>(bytes);
    case DetectorKind::kHddmW:
      return RestoreAs<HddmW>(bytes);
    case DetectorKind::kPageHinkley:
      return RestoreAs<PageHinkley>(bytes);
    case DetectorKind::kKswin:
      return RestoreAs<Kswin>(bytes);
    case DetectorKind::kCusum:
      return RestoreAs<Cusum>(bytes);
    case DetectorKind::kEwma:
      return RestoreAs<EwmaChart>(bytes);
  }
  return DetectorAccess::Malformed();
}

Result<std::vector<StreamEvent>> FindEvents(StreamDetector& detector,
                                            std::span<const double> values) {
  std::vector<StreamEvent> events;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const StreamState before = detector.state();
    const auto state = detector.Update(values[i]);
    if (!state) return Prefixed("row " + std::to_string(i) + ": ", state.error());
    const bool warned = *state == StreamState::kWarning && before != StreamState::kWarning;
    if (*state == StreamState::kDrift || warned) events.push_back({i, *state});
  }
  return events;
}

StateWriter::StateWriter(DetectorKind kind) : bytes_(kMagic) {
  bytes_.push_back(kVersion);
  bytes_.push_back(static_cast<char>(kind));
}

void StateWriter::Put(std::uint64_t word) { AppendWord(bytes_, word); }

std::string StateWriter::Finish() && {
  AppendWord(bytes_, StableHash(bytes_));
  return std::move(bytes_);
}

Result<StateReader> StateReader::Open(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes + kWordBytes || bytes.substr(0, kMagic.size()) != kMagic) {
    return Error{ErrorCode::kInvalidArgument, "detector state: these bytes are none"};
  }
  if (bytes[kMagic.size()] != kVersion) {
    return Error{ErrorCode::kInvalidArgument,
                 "detector state: version " +
                     std::to_string(static_cast<unsigned char>(bytes[kMagic.size()])) +
                     ", this release reads version " + std::to_string(kVersion)};
  }
  const std::string_view body = bytes.substr(0, bytes.size() - kWordBytes);
  if (WordAt(bytes.substr(body.size())) != StableHash(body)) {
    return Error{ErrorCode::kInvalidArgument, "detector state: cut short or changed"};
  }
  StateReader reader;
  reader.kind_ = static_cast<DetectorKind>(body[kMagic.size() + 1]);
  if (Name(reader.kind_) == "unknown") {
    return Error{ErrorCode::kInvalidArgument, "detector state: of a detector that is not known"};
  }
  reader.rest_ = body.substr(kHeaderBytes);
  return reader;
}

std::uint64_t StateReader::Take() {
  if (rest_.size() < kWordBytes) {
    Fail();
    return 0;
  }
  const std::uint64_t word = WordAt(rest_);
  rest_.remove_prefix(kWordBytes);
  return word;
}

void StateReader::operator()(std::vector<double>& values) {
  values.clear();
  const std::uint64_t size = Take();
  if (size > rest_.size() / kWordBytes) return Fail();
  values.resize(size);
  for (double& value : values) (*this)(value);
}

Error DetectorAccess::Malformed() {
  return {ErrorCode::kInvalidArgument, "detector state: one that no stream leads to"};
}

}  // namespace tidewheel::stats
