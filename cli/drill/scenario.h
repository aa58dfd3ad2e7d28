#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::cli::drill {

/// What happens to the traffic, or to those who label.
enum class Scenario {
  kCalm,     ///< Nothing.
  kRotate,   ///< Every light is turned by 90 degrees.
  kPrior,    ///< Yellow, rare before, becomes common.
  kConcept,  ///< Red and green swap their meaning; only outcomes tell.
  kNoise,    ///< Two of five annotators get worse.
  kFault,    ///< One of four cameras sends dark and blurred frames.
  kRecur,    ///< As kRotate; after the promotion the old condition comes back.
  kPlanted,  ///< A candidate that learned shuffled labels is put up.
  kAa,       ///< Candidates as good as what serves are put up, again and again.
};

/// "calm" and so on, in the order of the enumeration.
const std::vector<std::string>& ScenarioNames();
/// kInvalidArgument names the words there are.
Result<Scenario> ParseScenario(std::string_view name);
const std::string& Name(Scenario scenario);

/// What was asked for on the command line. Counts of 0 take the scenario's own.
struct Options {
  Scenario scenario = Scenario::kRotate;
  std::string platform_file;
  std::string data;  // Folder of real pictures; empty: drawn ones.
  std::string report_file;
  std::string bus = "postgres";
  std::uint64_t seed = 1;
  std::uint64_t count = 1'200;    // Drawn pictures that the first model may learn from.
  std::uint64_t requests = 0;     // kCalm: in all; otherwise before the change.
  double rate = 0;                // Requests a second.
  std::uint32_t labels = 0;       // What a cycle may ask for.
  std::uint32_t epochs = 0;       // Of a cycle's training; 0: the recipe's own.
  double new_weight = 16;         // Of a sample that a cycle adds, in those of the first set.
  std::uint32_t rounds = 20;      // kAa: canaries.
  double annotator_error = 0.02;  // Share of wrong votes.
  bool random_acquisition = false;
  bool kill = false;
  bool oracle = true;

  bool turns() const { return scenario == Scenario::kRotate || scenario == Scenario::kRecur; }
};

}  // namespace tidewheel::cli::drill
