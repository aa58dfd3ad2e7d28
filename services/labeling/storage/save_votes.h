#pragma once

#include <pqxx/pqxx>
#include <span>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/labeling/domain/vote_store.h"

namespace tidewheel::labeling {

/// Which of two opinions of one annotator on one sample from one source is in force.
enum class Precedence {
  kLastToCome,    // People correct themselves.
  kLastObserved,  // Facts come in any order; of the same time the greater class name.
};

/// Saves votes as VoteStore::Save does, in the caller's transaction.
Result<SaveOutcome> SaveVotes(pqxx::work& tx, const std::string& task,
                              std::span<const ResolvedVote> votes,
                              Precedence precedence = Precedence::kLastToCome);

}  // namespace tidewheel::labeling
