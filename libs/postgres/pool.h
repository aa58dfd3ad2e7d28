#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::postgres {

struct PoolOptions {
  std::string dsn{};          // As libpq takes it; connect_timeout is 5 s unless it says otherwise.
  std::string search_path{};  // "ingestion"; empty leaves the server's.
  std::size_t connections = 8;                      // At most this many, opened when first needed.
  std::chrono::milliseconds acquire_timeout{5000};  // Longest wait for a free connection.
  std::string application_name = "tidewheel";
};

class Session;

/// A bounded set of connections. Broken ones are replaced, so a restarted server is simply used
/// again. Thread-safe.
///
/// Errors of every call: kUnavailable (the server is away; or it went away during COMMIT, and the
/// message says that the outcome is unknown), kResourceExhausted (no connection became free in
/// time), and what the statements caused: kAlreadyExists (unique, exclusion), kFailedPrecondition
/// (foreign key, RAISE), kInvalidArgument (check, not null, value not of its type),
/// kPermissionDenied, kDeadlineExceeded (statement timeout), kAborted (conflicts outlasted the
/// retries, or a lock was not available), kInternal otherwise.
///
/// A body must not swallow an exception of libpqxx and then return a value: its transaction is
/// already lost.
class Pool {
 public:
  /// Does no I/O.
  explicit Pool(PoolOptions options);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Runs `body(pqxx::work&) -> Result<T>` in a transaction of its own: a value commits, an Error
  /// rolls back. Serialization failures and deadlocks (40001, 40P01) are repeated up to five times
  /// with jittered pauses, so the body may run again and must not keep what an earlier run put
  /// aside. For a stricter isolation let its first statement be SET TRANSACTION ISOLATION LEVEL.
  template <typename Body>
  auto InTransaction(Body&& body) -> std::invoke_result_t<Body&, pqxx::work&> {
    using Outcome = std::invoke_result_t<Body&, pqxx::work&>;
    std::optional<Outcome> outcome;
    const Result<void> ran = RunWriting([&](pqxx::work& tx) {
      outcome.emplace(body(tx));
      return outcome->ok();
    });
    if (!ran) return ran.error();
    return std::move(*outcome);
  }

  /// The same for `body(pqxx::transaction_base&) -> Result<T>` that only reads; PostgreSQL refuses
  /// writes. Also run again once when the connection breaks within it.
  template <typename Body>
  auto ReadOnly(Body&& body) -> std::invoke_result_t<Body&, pqxx::transaction_base&> {
    using Outcome = std::invoke_result_t<Body&, pqxx::transaction_base&>;
    std::optional<Outcome> outcome;
    const Result<void> ran = RunReading([&](pqxx::transaction_base& tx) {
      outcome.emplace(body(tx));
      return outcome->ok();
    });
    if (!ran) return ran.error();
    return std::move(*outcome);
  }

  /// Whether the server answers now.
  Result<void> Ping();

  const PoolOptions& options() const { return options_; }

 private:
  class Lease;

  Result<void> RunWriting(const std::function<bool(pqxx::work&)>& body);
  Result<void> RunReading(const std::function<bool(pqxx::transaction_base&)>& body);
  template <typename Transaction, typename Body>
  Result<void> Run(const Body& body, bool again_when_lost);

  /// With a session, or with none and the right to open one. Throws nothing.
  Result<Lease> Acquire();
  void Release(std::unique_ptr<Session> session);
  void CloseIdle();

  const PoolOptions options_;
  std::mutex mutex_;  // Guards idle_ and leased_.
  std::condition_variable freed_;
  std::vector<std::unique_ptr<Session>> idle_;  // The last one used is taken first.
  std::size_t leased_ = 0;
};

}  // namespace tidewheel::postgres
