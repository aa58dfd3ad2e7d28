#include "tidewheel/model_registry/storage/task_revision.h"

namespace tidewheel::model_registry {
namespace {

constexpr char kBump[] =
    "INSERT INTO task_revisions (task, revision) VALUES ($1, nextval('deployment_revisions')) "
    "ON CONFLICT (task) DO UPDATE SET revision = excluded.revision";

}  // namespace

void BumpTaskRevision(pqxx::work& tx, const std::string& task) { tx.exec_params0(kBump, task); }

}  // namespace tidewheel::model_registry
