#include "tidewheel/cli/analyze/analyze.h"

namespace tidewheel::cli {

void AddAnalyzeCommands(CommandLine& line) {
  auto* group = line.AddGroup("analyze", "Statistics and label algorithms on files (.npy, CSV)");
  AddAnalyzeLabelErrors(line, group);
  AddAnalyzeConsensus(line, group);
  AddAnalyzeLabelFunctions(line, group);
  AddAnalyzeAcquisition(line, group);
  AddAnalyzeDrift(line, group);
  AddAnalyzeStream(line, group);
  AddAnalyzeEstimate(line, group);
  AddAnalyzeCompare(line, group);
  AddAnalyzeBalance(line, group);
  AddAnalyzeLeakage(line, group);
  AddAnalyzeSlices(line, group);
}

}  // namespace tidewheel::cli
