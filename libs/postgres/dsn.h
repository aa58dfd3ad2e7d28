#pragma once

#include <string>
#include <string_view>

namespace tidewheel::postgres {

/// The same connection string with `key` set to `value`, in both of libpq's forms ("host=...
/// dbname=..." and "postgresql://..."); a later setting wins over an earlier one.
std::string WithParameter(std::string_view dsn, std::string_view key, std::string_view value);

}  // namespace tidewheel::postgres
