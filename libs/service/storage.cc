#include "tidewheel/service/storage.h"

#include "tidewheel/postgres/migrator.h"

namespace tidewheel::service {

Result<void> Migrate(const StorageConfig& config, const Schema& schema) {
  if (!config.migrating()) {
    return Error{ErrorCode::kInvalidArgument, "TIDEWHEEL_ADMIN_DSN is not set"};
  }
  const auto applied = postgres::Migrate(config.admin_dsn, schema.name, "tidewheel_" + schema.name,
                                         schema.migrations);
  if (!applied) return applied.error();
  return {};
}

postgres::PoolOptions PoolOptionsOf(const StorageConfig& config, const std::string& schema,
                                    const std::string& service) {
  return {.dsn = config.dsn,
          .search_path = schema,
          .connections = config.connections,
          .application_name = "tidewheel-" + service};
}

}  // namespace tidewheel::service
