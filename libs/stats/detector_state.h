#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/stats/stream_detector.h"

namespace tidewheel::stats {

/// The bytes of detectors, for their own source files: "TWSD", version, kind, then each field as
/// eight bytes, least significant first, and a check sum of all before it.
class StateWriter {
 public:
  explicit StateWriter(DetectorKind kind);

  template <typename T>
  void operator()(const T& value) {
    if constexpr (std::is_floating_point_v<T>) {
      Put(std::bit_cast<std::uint64_t>(static_cast<double>(value)));
    } else {
      Put(static_cast<std::uint64_t>(value));
    }
  }
  void operator()(const std::vector<double>& values) {
    Put(values.size());
    for (const double value : values) Put(std::bit_cast<std::uint64_t>(value));
  }

  std::string Finish() &&;

 private:
  void Put(std::uint64_t word);

  std::string bytes_;
};

/// Reads what StateWriter wrote; anything wrong makes ok() false for good and all fields zero.
class StateReader {
 public:
  /// kInvalidArgument as RestoreDetector().
  static Result<StateReader> Open(std::string_view bytes);

  template <typename T>
  void operator()(T& value) {
    const std::uint64_t word = Take();
    if constexpr (std::is_floating_point_v<T>) {
      value = std::bit_cast<double>(word);
      // Sums of squares of what detectors take stay below; more would overflow later on.
      if (!(std::abs(value) <= 1e200)) Fail();
    } else if constexpr (std::is_same_v<T, bool>) {
      value = word == 1;
      if (word > 1) Fail();
    } else {
      value = static_cast<T>(word);
      if (static_cast<std::uint64_t>(value) != word) Fail();
    }
  }
  void operator()(std::vector<double>& values);

  DetectorKind kind() const { return kind_; }
  bool ok() const { return ok_; }
  /// Whether all was read and nothing was wrong.
  bool Finished() const { return ok_ && rest_.empty(); }

 private:
  std::uint64_t Take();
  void Fail() {
    ok_ = false;
    rest_ = {};
  }

  std::string_view rest_;
  DetectorKind kind_ = DetectorKind::kAdwin;
  bool ok_ = true;
};

/// What all detectors do alike. A detector D has D::Options, D::Check(options), a constructor from
/// options, Consistent() (whether its state can come from a stream), and Fields(archive, self).
struct DetectorAccess {
  template <typename D>
  static Result<D> Make(const typename D::Options& options) {
    if (auto checked = D::Check(options); !checked) return checked.error();
    return D(options);
  }

  template <typename D>
  static std::string Save(const D& detector) {
    StateWriter writer(D::kKind);
    writer(detector.state_);
    writer(detector.observations_);
    D::Fields(writer, detector.options_, detector);
    return std::move(writer).Finish();
  }

  template <typename D>
  static Result<D> Restore(std::string_view bytes) {
    auto reader = StateReader::Open(bytes);
    if (!reader) return reader.error();
    if (reader->kind() != D::kKind) {
      return Error{ErrorCode::kInvalidArgument, "detector state: of " +
                                                    std::string(Name(reader->kind())) + ", not " +
                                                    std::string(Name(D::kKind))};
    }
    // Options first, as the constructor derives constants from them; then all fields into place.
    StateReader again = *reader;
    typename D::Options options;
    {
      D blank{options};
      ReadAll(*reader, options, blank);
    }
    if (!reader->Finished()) return Malformed();
    if (auto checked = D::Check(options); !checked) {
      return Error{ErrorCode::kInvalidArgument, "detector state: " + checked.error().message};
    }
    D detector{options};
    ReadAll(again, options, detector);
    if (detector.state_ > StreamState::kDrift || detector.observations_ > kMostObservations ||
        !detector.Consistent()) {
      return Malformed();
    }
    return detector;
  }

  static Error Malformed();

 private:
  static constexpr std::uint64_t kMostObservations = std::uint64_t{1} << 62;

  template <typename D>
  static void ReadAll(StateReader& reader, typename D::Options& options, D& detector) {
    reader(detector.state_);
    reader(detector.observations_);
    D::Fields(reader, options, detector);
  }
};

}  // namespace tidewheel::stats
