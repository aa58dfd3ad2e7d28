#include "tidewheel/postgres/migrator.h"

#include <algorithm>
#include <map>

namespace tidewheel::postgres {

namespace platform {
std::span<const Migration> Migrations();  // Generated from migrations/.
}

namespace {

constexpr char kService[] = "service";
constexpr char kPlatform[] = "platform";

/// Of one component, by version.
struct Applied {
  std::string name;
  std::string sha256;
};
using History = std::map<int, Applied>;

bool IsPlainName(std::string_view name) {
  return !name.empty() && name.size() <= 63 && !(name[0] >= '0' && name[0] <= '9') &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

History ReadHistory(pqxx::transaction_base& tx, const std::string& schema,
                    const std::string& component) {
  History history;
  const auto rows = tx.exec_params(
      "SELECT version, name, sha256 FROM " + schema + ".schema_migrations WHERE component = $1",
      component);
  for (const auto& row : rows) {
    history[row[0].as<int>()] = {row[1].as<std::string>(), row[2].as<std::string>()};
  }
  return history;
}

/// Whether what was applied is a beginning of what is known.
Result<void> Compare(const std::string& schema, const History& history,
                     std::span<const Migration> migrations) {
  for (const auto& [version, applied] : history) {
    if (version > static_cast<int>(migrations.size())) {
      return Error{ErrorCode::kFailedPrecondition,
                   "schema " + schema + " has migration " + applied.name +
                       ", which this program does not know: it is older than the schema"};
    }
    const Migration& known = migrations[static_cast<std::size_t>(version - 1)];
    if (applied.name != known.name || applied.sha256 != known.sha256) {
      return Error{ErrorCode::kFailedPrecondition,
                   "schema " + schema + " was made with another " + std::string(known.name) +
                       ": a migration is never edited once applied"};
    }
  }
  return {};
}

Result<void> Prepare(Pool& pool, const std::string& schema, const std::string& role) {
  return pool.InTransaction([&](pqxx::work& tx) -> Result<void> {
    if (tx.exec_params("SELECT FROM pg_roles WHERE rolname = $1", role).empty()) {
      return Error{ErrorCode::kFailedPrecondition,
                   "there is no role " + role + ": bootstrap the database first"};
    }
    tx.exec_params("SELECT pg_advisory_xact_lock(hashtextextended('tidewheel.migrate.' || $1, 0))",
                   schema);
    // Default privileges come first, so that a REVOKE inside a migration has the last word.
    tx.exec("CREATE SCHEMA IF NOT EXISTS " + schema + ";" + "GRANT USAGE ON SCHEMA " + schema +
            " TO " + role + ";" + "ALTER DEFAULT PRIVILEGES IN SCHEMA " + schema +
            " GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO " + role + ";" +
            "ALTER DEFAULT PRIVILEGES IN SCHEMA " + schema +
            " GRANT USAGE, SELECT ON SEQUENCES TO " + role + ";" +
            "ALTER DEFAULT PRIVILEGES IN SCHEMA " + schema + " GRANT EXECUTE ON FUNCTIONS TO " +
            role + ";" + "CREATE TABLE IF NOT EXISTS " + schema +
            ".schema_migrations ("
            " component text NOT NULL CHECK (component IN ('service', 'platform')),"
            " version integer NOT NULL CHECK (version > 0),"
            " name text NOT NULL,"
            " sha256 text NOT NULL CHECK (length(sha256) = 64),"
            " applied_at timestamptz NOT NULL DEFAULT now(),"
            " CONSTRAINT schema_migrations_pkey PRIMARY KEY (component, version));" +
            "REVOKE INSERT, UPDATE, DELETE ON " + schema + ".schema_migrations FROM " + role);
    return {};
  });
}

/// Whether it was this call that applied it; another may have come first.
Result<bool> ApplyOne(Pool& pool, const std::string& schema, const std::string& component,
                      const Migration& migration) {
  return pool.InTransaction([&](pqxx::work& tx) -> Result<bool> {
    tx.exec_params("SELECT pg_advisory_xact_lock(hashtextextended('tidewheel.migrate.' || $1, 0))",
                   schema);
    const std::string table = schema + ".schema_migrations";
    if (!tx.exec_params("SELECT FROM " + table + " WHERE component = $1 AND version = $2",
                        component, migration.version)
             .empty()) {
      return false;
    }
    tx.exec("SET LOCAL search_path TO " + schema);
    tx.exec(std::string(migration.sql));
    tx.exec_params(
        "INSERT INTO " + table + " (component, version, name, sha256) VALUES ($1, $2, $3, $4)",
        component, migration.version, migration.name, migration.sha256);
    return true;
  });
}

Result<void> Apply(Pool& pool, const std::string& schema, const std::string& component,
                   std::span<const Migration> migrations, std::vector<std::string>& applied) {
  const auto history = pool.ReadOnly([&](pqxx::transaction_base& tx) -> Result<History> {
    return ReadHistory(tx, schema, component);
  });
  if (!history) return history.error();
  if (const auto same = Compare(schema, *history, migrations); !same) return same;
  for (const Migration& migration : migrations) {
    if (history->contains(migration.version)) continue;
    const auto mine = ApplyOne(pool, schema, component, migration);
    const std::string name = schema + "/" + std::string(migration.name);
    if (!mine) return Prefixed("migration " + name + ": ", mine.error());
    if (*mine) applied.push_back(name);
  }
  return {};
}

Result<void> CheckArguments(const std::string& schema, std::span<const Migration> migrations) {
  if (!IsPlainName(schema)) {
    return Error{ErrorCode::kInvalidArgument,
                 "\"" + schema + "\" is no schema name of lower-case letters, digits and _"};
  }
  for (std::size_t i = 0; i < migrations.size(); ++i) {
    if (migrations[i].version != static_cast<int>(i) + 1) {
      return Error{ErrorCode::kInvalidArgument, "migration " + std::string(migrations[i].name) +
                                                    " of " + schema + " should have number " +
                                                    std::to_string(i + 1)};
    }
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> Migrate(const std::string& admin_dsn, const std::string& schema,
                                         const std::string& role,
                                         std::span<const Migration> migrations,
                                         PlatformTables tables) {
  if (const auto good = CheckArguments(schema, migrations); !good) return good.error();
  if (!IsPlainName(role)) {
    return Error{ErrorCode::kInvalidArgument, "\"" + role + "\" is no role name"};
  }
  Pool pool({.dsn = admin_dsn, .connections = 1, .application_name = "tidewheel-migrate"});
  if (const auto prepared = Prepare(pool, schema, role); !prepared) return prepared.error();

  std::vector<std::string> applied;
  if (tables == PlatformTables::kYes) {
    const auto made = Apply(pool, schema, kPlatform, platform::Migrations(), applied);
    if (!made) return made.error();
  }
  if (const auto made = Apply(pool, schema, kService, migrations, applied); !made)
    return made.error();
  return applied;
}

Result<void> CheckSchema(Pool& pool, const std::string& schema,
                         std::span<const Migration> migrations, PlatformTables tables) {
  if (const auto good = CheckArguments(schema, migrations); !good) return good;
  return pool.ReadOnly([&](pqxx::transaction_base& tx) -> Result<void> {
    const auto check = [&](const char* component,
                           std::span<const Migration> known) -> Result<void> {
      const History history = ReadHistory(tx, schema, component);
      if (auto same = Compare(schema, history, known); !same) return same;
      if (history.size() == known.size()) return {};
      return Error{ErrorCode::kFailedPrecondition,
                   "schema " + schema + " has " + std::to_string(history.size()) + " of " +
                       std::to_string(known.size()) + " " + component +
                       " migrations: run migrate first"};
    };
    if (tx.exec_params1("SELECT to_regclass($1) IS NULL", schema + ".schema_migrations")[0]
            .as<bool>()) {
      return Error{ErrorCode::kFailedPrecondition,
                   "schema " + schema + " was never migrated: run migrate first"};
    }
    if (tables == PlatformTables::kYes) {
      if (auto good = check(kPlatform, platform::Migrations()); !good) return good;
    }
    return check(kService, migrations);
  });
}

}  // namespace tidewheel::postgres
