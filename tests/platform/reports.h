#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/tests/platform/platform.h"

namespace tidewheel::tests {

/// What a demo said and measured.
struct DemoEnd {
  ProgramEnd program;
  std::map<std::string, std::optional<double>> figures;  // None: null.
};

/// The figures of a report, which must be there and well formed.
std::map<std::string, std::optional<double>> ReadFigures(const std::filesystem::path& report);

/// Runs tidewheel-demo against the platform; its report must be there and well formed.
DemoEnd RunDemo(const Platform& platform, const std::vector<std::string>& arguments,
                std::chrono::seconds at_most);

/// The figures that every report of the demo has, for these classes.
std::vector<std::string> RequiredFigures(const std::vector<std::string>& classes);

}  // namespace tidewheel::tests
