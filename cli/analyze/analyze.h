#pragma once

#include "tidewheel/cli/commands/command.h"

namespace tidewheel::cli {

/// `analyze`: the statistics and label algorithms on files, with no platform running.
void AddAnalyzeCommands(CommandLine& line);

// One function a file; each adds its command to the group.
void AddAnalyzeLabelErrors(CommandLine& line, CLI::App* group);
void AddAnalyzeConsensus(CommandLine& line, CLI::App* group);
void AddAnalyzeLabelFunctions(CommandLine& line, CLI::App* group);
void AddAnalyzeAcquisition(CommandLine& line, CLI::App* group);
void AddAnalyzeDrift(CommandLine& line, CLI::App* group);
void AddAnalyzeStream(CommandLine& line, CLI::App* group);
void AddAnalyzeEstimate(CommandLine& line, CLI::App* group);
void AddAnalyzeCompare(CommandLine& line, CLI::App* group);
void AddAnalyzeBalance(CommandLine& line, CLI::App* group);
void AddAnalyzeLeakage(CommandLine& line, CLI::App* group);
void AddAnalyzeSlices(CommandLine& line, CLI::App* group);

}  // namespace tidewheel::cli
