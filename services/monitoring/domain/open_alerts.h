#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/monitoring/domain/alert.h"
#include "tidewheel/monitoring/domain/alert_store.h"
#include "tidewheel/monitoring/domain/judge.h"
#include "tidewheel/monitoring/domain/window_rows.h"

namespace tidewheel::monitoring {

/// Names under which AlertKeeper keeps what it goes on from (AlertLedger::State).
inline constexpr char kTaskState[] = "task";
std::string ModelState(const std::string& model_version_id);
std::string SliceState(const std::string& model_version_id, const std::string& slice);

/// Most rows were the answers that clients got from the model in force.
bool IsProduction(const WindowRows& window);

/// The open alert of this cause; null: there is none.
Alert* FindOpen(std::vector<Alert>* open, std::string_view cause);
/// The open alert that a diagnosis of this cause belongs to: its own cause first.
Alert* FindHome(std::vector<Alert>* open, const std::string& cause);

/// Keeps what was found in a window and notes it there. `alert_of_finding` by the finding's id.
Result<void> KeepFindings(AlertLedger& ledger, const WindowRows& window, const Judgement& judgement,
                          const std::map<std::string, std::string>& alert_of_finding);

}  // namespace tidewheel::monitoring
