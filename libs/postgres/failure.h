#pragma once

#include <pqxx/pqxx>

#include "tidewheel/base/error.h"

namespace tidewheel::postgres {

/// What an exception of libpqxx means to us.
struct Failure {
  Error error;
  bool connection_lost = false;  // The connection is of no more use.
  bool repeatable = false;       // 40001 or 40P01: rolled back, the same work may succeed now.
};

/// The one place where exceptions of libpqxx become errors. Call it inside a catch block only.
/// `connection` may be null when there was none yet.
Failure DescribeCurrentException(const pqxx::connection_base* connection);

/// A connection that never reconnects by itself: a silent new session would have lost its
/// search_path. Throws what libpqxx throws.
class Session final : public pqxx::connection {
 public:
  Session(const std::string& dsn, const std::string& search_path,
          const std::string& application_name);
};

}  // namespace tidewheel::postgres
