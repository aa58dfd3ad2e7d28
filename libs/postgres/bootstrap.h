#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"

namespace tidewheel::postgres {

/// A service's login and what it owns.
struct ServiceRole {
  std::string_view role;    // "tidewheel_ingestion".
  std::string_view schema;  // "ingestion"; empty: the service owns none.
};

/// The eight services.
std::span<const ServiceRole> ServiceRoles();

/// The group that may use the schema `bus`; every service role is a member.
inline constexpr std::string_view kBusRole = "tidewheel_bus";

/// Makes a database ready for migrations: the roles (LOGIN without a password, at most 40
/// connections each), the schemas (owned by the administrator) and the rule that nobody may do
/// anything that was not granted. Changes nothing the second time. `admin_dsn` names the database;
/// its user needs CREATEROLE and must own the database.
Result<void> Bootstrap(const std::string& admin_dsn);

}  // namespace tidewheel::postgres
