#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "tidewheel/cli/demo/report.h"
#include "tidewheel/cli/output/table.h"

namespace tidewheel::cli::demo {

/// What people read while the demo runs: calm paragraphs on standard output. For one thread.
class Account {
 public:
  /// A line of its own, to the left.
  void Title(std::string_view text);
  /// A sentence under the stage's name.
  void Say(std::string_view text);
  void Show(const Table& table);
  /// Text of several lines, indented as it is.
  void ShowText(std::string_view text);
};

/// "1.5 s", "820 ms".
std::string FormatSeconds(double seconds);
/// "99.3 %".
std::string FormatPercent(double share, int digits = 1);

/// One stage of the demo: says its name, and measures its time for the report
/// (`demo.stage.<name>.seconds`).
class StageTimer {
 public:
  explicit StageTimer(std::string name)
      : name_(std::move(name)), started_(std::chrono::steady_clock::now()) {}

  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  }
  /// Notes the stage's time and its rate of `things` (such as "samples"). Returns the seconds.
  double Finish(Report& report, double count, std::string_view things) const;

 private:
  const std::string name_;
  const std::chrono::steady_clock::time_point started_;
};

}  // namespace tidewheel::cli::demo
