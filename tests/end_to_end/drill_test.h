#pragma once

#include <gtest/gtest.h>

#include <cstdlib>

#include "tidewheel/testing/temp_folder.h"
#include "tidewheel/tests/platform/reports.h"

namespace tidewheel::tests {

/// `./tidewheel drill` with the programs of this build and a platform in a folder of its own.
inline DemoEnd RunDrill(std::vector<std::string> arguments, std::chrono::seconds at_most) {
  const testing::TempFolder folder;
  const auto report = folder.path() / "report.json";
  arguments.insert(
      arguments.begin(),
      {"/usr/bin/python3", std::string(std::getenv("TIDEWHEEL_SOURCE_DIR")) + "/tools/drill"});
  arguments.insert(arguments.end(), {"--report", report.string()});
  DemoEnd end;
  end.program = RunProgram(arguments, at_most,
                           {{"TIDEWHEEL_PROGRAMS", ProgramFolder().string()},
                            {"TIDEWHEEL_DRILL_FOLDER", (folder.path() / "platform").string()}});
  if (std::filesystem::exists(report)) end.figures = ReadFigures(report);
  // What PostgreSQL keeps outside of a folder that it may not enter.
  RunProgram({"/usr/bin/python3", std::string(std::getenv("TIDEWHEEL_SOURCE_DIR")) + "/tools/up",
              "--forget", "--dir", (folder.path() / "platform").string()},
             std::chrono::seconds(30));
  return end;
}

}  // namespace tidewheel::tests
