#pragma once

#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/postgres/migration.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::postgres {

/// Whether the schema also gets the tables `outbox` and `inbox` (this library's own migrations,
/// counted apart).
enum class PlatformTables { kYes, kNo };

/// Brings `schema` up to the last of `migrations`, each in one transaction under a lock, with the
/// search_path set to the schema, and returns the names of those it applied. `role` may select,
/// insert, update and delete in every table the migrations make and use its sequences; a REVOKE in
/// a migration stands. What was applied is kept with the file's checksum in
/// `<schema>.schema_migrations`. kFailedPrecondition: no such role (bootstrap first), an applied
/// file was edited, or the schema is newer than `migrations`. What a statement causes comes with
/// the migration's name before it; earlier migrations then stay.
Result<std::vector<std::string>> Migrate(const std::string& admin_dsn, const std::string& schema,
                                         const std::string& role,
                                         std::span<const Migration> migrations,
                                         PlatformTables tables = PlatformTables::kYes);

/// What a service asks before it opens its port. kFailedPrecondition: the schema is older (says to
/// migrate), newer than this program, or made from other files.
Result<void> CheckSchema(Pool& pool, const std::string& schema,
                         std::span<const Migration> migrations,
                         PlatformTables tables = PlatformTables::kYes);

}  // namespace tidewheel::postgres
