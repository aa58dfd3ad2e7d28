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

/// Connects at once, and knows libpq's connection below libpqxx's.
class KnownHandle final : public pqxx::connect_direct {
 public:
  using pqxx::connect_direct::connect_direct;
  handle do_completeconnect(handle made) override {
    return handle_ = pqxx::connect_direct::do_completeconnect(made);
  }
  handle known() const { return handle_; }

 private:
  handle handle_ = nullptr;
};

namespace internal {
/// Of a Session, there before the connection that uses it.
struct SessionPolicy {
  KnownHandle policy;
};
}  // namespace internal

/// A connection that never reconnects by itself: a silent new session would have lost its
/// search_path. Throws what libpqxx throws.
class Session final : private internal::SessionPolicy, public pqxx::connection_base {
 public:
  Session(const std::string& dsn, const std::string& search_path,
          const std::string& application_name);
  ~Session() noexcept;

  /// libpq's connection below one of libpqxx's, for what that does not offer; null where it is no
  /// Session. Thread-safe.
  static KnownHandle::handle HandleOf(const pqxx::connection_base& connection);
};

}  // namespace tidewheel::postgres
