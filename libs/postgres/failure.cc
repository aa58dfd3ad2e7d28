#include "tidewheel/postgres/failure.h"

#include <exception>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <string_view>

#include "tidewheel/postgres/dsn.h"

namespace tidewheel::postgres {
namespace {

/// "ERROR:  duplicate key ...\nDETAIL: Key (owner)=(...)" without the prefix and without the values
/// of rows.
std::string FirstLine(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  for (const std::string_view prefix : {"ERROR:", "FATAL:"}) {
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  }
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return std::string(text);
}

std::string WithoutLastBreak(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

Failure Describe(const pqxx::sql_error& failure) {
  const std::string_view state = failure.sqlstate();
  const auto is = [&](std::string_view code) { return state.starts_with(code); };
  const auto short_error = [&](ErrorCode code) {
    return Failure{.error = {code, FirstLine(failure.what())}};
  };

  if (is("23505") || is("23P01") || dynamic_cast<const pqxx::unique_violation*>(&failure)) {
    return short_error(ErrorCode::kAlreadyExists);
  }
  if (is("23503") || is("23001") || dynamic_cast<const pqxx::foreign_key_violation*>(&failure)) {
    return short_error(ErrorCode::kFailedPrecondition);
  }
  if (is("23") || is("22") || dynamic_cast<const pqxx::check_violation*>(&failure) ||
      dynamic_cast<const pqxx::not_null_violation*>(&failure) ||
      dynamic_cast<const pqxx::data_exception*>(&failure)) {
    return short_error(ErrorCode::kInvalidArgument);
  }
  if (is("42501") || dynamic_cast<const pqxx::insufficient_privilege*>(&failure)) {
    return short_error(ErrorCode::kPermissionDenied);
  }
  if (is("P0001") || dynamic_cast<const pqxx::plpgsql_raise*>(&failure)) {
    return short_error(ErrorCode::kFailedPrecondition);
  }
  if (is("57P") || is("08")) {
    Failure lost = short_error(ErrorCode::kUnavailable);
    lost.connection_lost = true;
    return lost;
  }
  if (is("57014")) return short_error(ErrorCode::kDeadlineExceeded);
  if (is("55P03")) return short_error(ErrorCode::kAborted);
  if (is("53") || dynamic_cast<const pqxx::insufficient_resources*>(&failure)) {
    return short_error(ErrorCode::kResourceExhausted);
  }
  return Failure{
      .error = {ErrorCode::kInternal, "PostgreSQL: " + WithoutLastBreak(failure.what())}};
}

Failure Describe() {
  try {
    throw;
  } catch (const pqxx::in_doubt_error& failure) {
    return {
        .error = {ErrorCode::kUnavailable,
                  "PostgreSQL went away while the transaction was being committed; whether it took "
                  "effect is unknown"},
        .connection_lost = true};
  } catch (const pqxx::statement_completion_unknown& failure) {
    return {.error = {ErrorCode::kUnavailable, "whether the transaction took effect is unknown: " +
                                                   FirstLine(failure.what())}};
  } catch (const pqxx::transaction_rollback& failure) {
    return {.error = {ErrorCode::kAborted, FirstLine(failure.what())}, .repeatable = true};
  } catch (const pqxx::broken_connection& failure) {
    return {.error = {ErrorCode::kUnavailable,
                      "PostgreSQL cannot be reached: " + FirstLine(failure.what())},
            .connection_lost = true};
  } catch (const pqxx::sql_error& failure) {
    return Describe(failure);
  } catch (const std::bad_alloc&) {
    return {.error = {ErrorCode::kResourceExhausted, "out of memory while talking to PostgreSQL"}};
  } catch (const std::exception& failure) {
    return {.error = {ErrorCode::kInternal, "libpqxx: " + WithoutLastBreak(failure.what())}};
  } catch (...) {
    return {.error = {ErrorCode::kInternal, "an exception of unknown type in a transaction"}};
  }
}

/// Those that are open. libpqxx's connections cannot be asked what they are.
struct Sessions {
  static Sessions& All() {
    static auto* const all = new Sessions;  // Outlives every pool.
    return *all;
  }
  std::mutex mutex;
  std::map<const pqxx::connection_base*, KnownHandle::handle> handles;
};

}  // namespace

Failure DescribeCurrentException(const pqxx::connection_base* connection) {
  Failure failure = Describe();
  // A connection that breaks within a statement is reported in several ways; what counts is that it
  // is gone.
  if (connection != nullptr && !connection->is_open() && !failure.connection_lost) {
    failure.connection_lost = true;
    failure.repeatable = false;
    failure.error = {ErrorCode::kUnavailable,
                     "the connection to PostgreSQL broke: " + FirstLine(failure.error.message)};
  }
  return failure;
}

Session::Session(const std::string& dsn, const std::string& search_path,
                 const std::string& application_name)
    : internal::SessionPolicy{KnownHandle(dsn.find("connect_timeout") == std::string::npos
                                              ? WithParameter(dsn, "connect_timeout", "5")
                                              : dsn)},
      pqxx::connection_base(policy) {
  init();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  inhibit_reactivation(true);
#pragma GCC diagnostic pop
  pqxx::nontransaction setup(*this);
  setup.exec_params(
      "SELECT set_config('client_min_messages', 'warning', false), set_config('TimeZone', 'UTC', "
      "false),"
      " set_config('DateStyle', 'ISO', false), set_config('client_encoding', 'UTF8', false),"
      " set_config('application_name', $1, false),"
      " CASE WHEN $2 <> '' THEN set_config('search_path', $2, false) END",
      application_name, search_path);
  Sessions& all = Sessions::All();
  const std::lock_guard lock(all.mutex);
  all.handles.emplace(this, policy.known());
}

Session::~Session() noexcept {
  Sessions& all = Sessions::All();
  const std::lock_guard lock(all.mutex);
  all.handles.erase(this);
  close();
}

KnownHandle::handle Session::HandleOf(const pqxx::connection_base& connection) {
  Sessions& all = Sessions::All();
  const std::lock_guard lock(all.mutex);
  const auto found = all.handles.find(&connection);
  return found == all.handles.end() ? nullptr : found->second;
}

}  // namespace tidewheel::postgres
