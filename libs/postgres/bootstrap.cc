#include "tidewheel/postgres/bootstrap.h"

#include "tidewheel/postgres/pool.h"

namespace tidewheel::postgres {
namespace {

constexpr ServiceRole kRoles[] = {
    {"tidewheel_ingestion", "ingestion"},   {"tidewheel_labeling", "labeling"},
    {"tidewheel_curation", "curation"},     {"tidewheel_training", "training"},
    {"tidewheel_registry", "registry"},     {"tidewheel_inference", ""},
    {"tidewheel_monitoring", "monitoring"}, {"tidewheel_console", "console"},
};

// Roles belong to the whole server: a bootstrap of another database may make the same one between
// look and leap.
constexpr char kEnsureRole[] = R"(
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '%ROLE%') THEN
    CREATE ROLE %ROLE% %OPTIONS%;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$)";

constexpr char kEnsureMember[] = R"(
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member
                 WHERE g.rolname = 'tidewheel_bus' AND r.rolname = '%ROLE%') THEN
    GRANT tidewheel_bus TO %ROLE%;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$)";

constexpr char kCloseDatabase[] = R"(
DO $$
BEGIN
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
END $$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;)";

constexpr char kAllowConnect[] = R"(
DO $$
BEGIN
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO %ROLE%', current_database());
END $$)";

std::string With(std::string text, std::string_view place, std::string_view value) {
  for (std::size_t at = 0; (at = text.find(place, at)) != std::string::npos; at += value.size()) {
    text.replace(at, place.size(), value);
  }
  return text;
}

}  // namespace

std::span<const ServiceRole> ServiceRoles() { return kRoles; }

Result<void> Bootstrap(const std::string& admin_dsn) {
  Pool pool({.dsn = admin_dsn, .connections = 1, .application_name = "tidewheel-bootstrap"});
  const auto done = pool.InTransaction([](pqxx::work& tx) -> Result<void> {
    tx.exec("SELECT pg_advisory_xact_lock(hashtextextended('tidewheel.bootstrap', 0))");
    tx.exec(kCloseDatabase);
    tx.exec(With(With(kEnsureRole, "%ROLE%", kBusRole), "%OPTIONS%", "NOLOGIN"));
    tx.exec("CREATE SCHEMA IF NOT EXISTS bus; GRANT USAGE ON SCHEMA bus TO tidewheel_bus");
    for (const ServiceRole& service : kRoles) {
      tx.exec(With(With(kEnsureRole, "%ROLE%", service.role), "%OPTIONS%",
                   "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE INHERIT CONNECTION LIMIT 40"));
      tx.exec(With(kEnsureMember, "%ROLE%", service.role));
      tx.exec(With(kAllowConnect, "%ROLE%", service.role));
      if (service.schema.empty()) continue;
      const std::string schema(service.schema);
      tx.exec("CREATE SCHEMA IF NOT EXISTS " + schema + "; GRANT USAGE ON SCHEMA " + schema +
              " TO " + std::string(service.role));
    }
    return {};
  });
  if (!done) return Prefixed("preparing the database: ", done.error());
  return {};
}

}  // namespace tidewheel::postgres
