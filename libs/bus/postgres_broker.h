#pragma once

#include <memory>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/bus/broker.h"

namespace tidewheel::bus {

/// The bus in schema `bus` of a PostgreSQL database: no broker to run. Offsets are given out under
/// the partition's row lock, so nothing commits behind a reader (docs/decisions/0002).
/// `options.driver` is not looked at. See OpenBroker.
Result<std::unique_ptr<Broker>> OpenPostgresBroker(const BrokerOptions& options);

/// Brings schema `bus` up to what this program knows. `admin_dsn` as for postgres::Migrate;
/// postgres::Bootstrap comes first.
Result<void> MigratePostgresBus(const std::string& admin_dsn);

}  // namespace tidewheel::bus
