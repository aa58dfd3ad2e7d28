#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"

namespace tidewheel::cli::demo {

/// One measured number of a report.
struct Figure {
  std::string name;             // "demo.stage.push.seconds".
  std::optional<double> value;  // None: could not be measured, and `how` says why.
  std::string unit;             // "1", "ratio", "seconds", "bytes", "per_second", "count".
  std::string how;
  std::optional<double> at_least;  // The goal, where an issue names one.
  std::optional<double> at_most;   // The goal of a figure that should be small.

  bool met() const {
    return (!at_least || (value && *value >= *at_least)) &&
           (!at_most || (value && *value <= *at_most));
  }
};

/// What a command that measures writes: schema `tidewheel.report.v1`. Figures keep the order in
/// which they were first named. For one thread.
class Report {
 public:
  Report(std::string command, std::vector<std::string> arguments, std::uint64_t seed);

  /// Names a figure that will be measured; until it is, the report says it was not reached.
  void Expect(std::string_view name, std::string_view unit);
  void Set(std::string_view name, double value, std::string_view unit, std::string_view how);
  /// What could not be measured, and why.
  void SetUnknown(std::string_view name, std::string_view unit, std::string_view why);
  void SetGoal(std::string_view name, double at_least);
  void SetGoalAtMost(std::string_view name, double at_most);

  const std::vector<Figure>& figures() const { return figures_; }
  std::optional<double> Find(std::string_view name) const;
  bool AllGoalsMet() const;
  double seconds() const;

  /// `seconds` is the time since the report was made.
  std::string Json() const;
  /// Makes the folder when there is none. kUnavailable: the file cannot be written.
  Result<void> Write(const std::filesystem::path& path) const;
  /// var/reports/<command>-<UTC time>.json
  std::filesystem::path DefaultPath() const;

 private:
  Figure& At(std::string_view name);

  const std::string command_;
  const std::vector<std::string> arguments_;
  const std::uint64_t seed_;
  const Timestamp started_at_;
  std::vector<Figure> figures_;
};

}  // namespace tidewheel::cli::demo
