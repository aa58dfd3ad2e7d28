#pragma once

#include <span>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/postgres/migration.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/service/service_config.h"

namespace tidewheel::service {

/// What a service keeps in PostgreSQL under.
struct Schema {
  std::string name;  // "ingestion"; its role is "tidewheel_" + name.
  std::span<const postgres::Migration> migrations;
};

/// Brings the schema up to date as the administrator. kInvalidArgument: no TIDEWHEEL_ADMIN_DSN.
Result<void> Migrate(const StorageConfig& config, const Schema& schema);

/// `service` is the name that PostgreSQL shows: "model-registry".
postgres::PoolOptions PoolOptionsOf(const StorageConfig& config, const std::string& schema,
                                    const std::string& service);

}  // namespace tidewheel::service
