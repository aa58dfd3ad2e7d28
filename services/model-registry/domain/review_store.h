#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/model_registry/domain/audit.h"
#include "tidewheel/model_registry/domain/page.h"
#include "tidewheel/model_registry/domain/review.h"

namespace tidewheel::model_registry {

struct StoredEvaluation {
  GateEvaluation evaluation;
  bool created = false;
};

struct StoredSignOff {
  SignOffRecord record;
  bool created = false;
};

/// What the domain needs of the storage of gate evaluations and signatures, which are never
/// changed. Each write is one transaction with its audit entry. Thread-safe.
class ReviewStore {
 public:
  virtual ~ReviewStore() = default;

  /// The evaluation that has this id already is returned instead.
  virtual Result<StoredEvaluation> Append(const GateEvaluation& evaluation,
                                          const AuditDraft& audit) = 0;
  /// The newest of the model version, or none.
  virtual Result<std::optional<GateEvaluation>> FindNewest(const std::string& model_version_id) = 0;
  /// Newest first.
  virtual Result<Page<GateEvaluation>> ListEvaluations(const std::string& model_version_id,
                                                       const PageRequest& page) = 0;

  /// The signature that the version has for this role already is returned instead.
  virtual Result<StoredSignOff> Append(const SignOffRecord& record, const AuditDraft& audit) = 0;
  /// In the order of signing; as many as roles have signed, which are few.
  virtual Result<std::vector<SignOffRecord>> ListSignOffs(const std::string& model_version_id) = 0;
};

}  // namespace tidewheel::model_registry
