#include "tidewheel/postgres/pool.h"

#include <algorithm>
#include <random>
#include <thread>

#include "tidewheel/postgres/failure.h"

namespace tidewheel::postgres {
namespace {

constexpr int kConflictRetries = 5;

void PauseBeforeRetry(int attempt) {
  thread_local std::minstd_rand generator{std::random_device{}()};
  const int most_ms = std::min(2 << attempt, 100);
  std::uniform_int_distribution<int> pause_us(500, most_ms * 1000);
  std::this_thread::sleep_for(std::chrono::microseconds(pause_us(generator)));
}

}  // namespace

/// One of the pool's places, given back when it goes.
class Pool::Lease {
 public:
  Lease(Pool& pool, std::unique_ptr<Session> session)
      : pool_(&pool), session_(std::move(session)) {}
  Lease(Lease&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), session_(std::move(other.session_)) {}
  Lease& operator=(Lease&&) = delete;
  ~Lease() {
    if (pool_ != nullptr) pool_->Release(std::move(session_));
  }

  /// Null before the first EnsureOpen and after Close.
  Session* session() { return session_.get(); }

  /// Throws what libpqxx throws.
  Session& EnsureOpen() {
    const PoolOptions& options = pool_->options_;
    if (!session_) {
      session_ =
          std::make_unique<Session>(options.dsn, options.search_path, options.application_name);
    }
    return *session_;
  }
  void Close() { session_.reset(); }

 private:
  Pool* pool_;
  std::unique_ptr<Session> session_;
};

Pool::Pool(PoolOptions options) : options_(std::move(options)) {}

Pool::~Pool() = default;

Result<Pool::Lease> Pool::Acquire() {
  std::unique_lock lock(mutex_);
  const bool free = freed_.wait_for(lock, options_.acquire_timeout,
                                    [&] { return leased_ < options_.connections; });
  if (!free) {
    return Error{ErrorCode::kResourceExhausted,
                 "all " + std::to_string(options_.connections) +
                     " connections to PostgreSQL were busy for " +
                     std::to_string(options_.acquire_timeout.count()) + " ms"};
  }
  ++leased_;
  std::unique_ptr<Session> session;
  if (!idle_.empty()) {
    session = std::move(idle_.back());
    idle_.pop_back();
  }
  return Lease(*this, std::move(session));
}

void Pool::Release(std::unique_ptr<Session> session) {
  {
    const std::lock_guard lock(mutex_);
    --leased_;
    if (session) idle_.push_back(std::move(session));
  }
  freed_.notify_one();
}

void Pool::CloseIdle() {
  std::vector<std::unique_ptr<Session>> closing;
  const std::lock_guard lock(mutex_);
  closing.swap(idle_);
}

template <typename Transaction, typename Body>
Result<void> Pool::Run(const Body& body, bool again_when_lost) {
  auto lease = Acquire();
  if (!lease) return lease.error();

  bool reconnected = false;
  for (int conflicts = 0;;) {
    const bool kept = lease->session() != nullptr;
    bool body_ran = false;
    try {
      Transaction tx(lease->EnsureOpen());
      body_ran = true;
      if (body(tx)) {
        tx.commit();
      } else {
        tx.abort();
      }
      return {};
    } catch (...) {
      Failure failure = DescribeCurrentException(lease->session());
      if (failure.connection_lost) {
        lease->Close();
        // What broke this one most likely broke them all: do not hand the others out one by one.
        CloseIdle();
        if (kept && !reconnected && (!body_ran || again_when_lost)) {
          reconnected = true;
          continue;
        }
      } else if (failure.repeatable && conflicts < kConflictRetries) {
        PauseBeforeRetry(conflicts++);
        continue;
      }
      return std::move(failure.error);
    }
  }
}

Result<void> Pool::RunWriting(const std::function<bool(pqxx::work&)>& body) {
  return Run<pqxx::work>(body, /*again_when_lost=*/false);
}

Result<void> Pool::RunReading(const std::function<bool(pqxx::transaction_base&)>& body) {
  return Run<pqxx::read_transaction>(body, /*again_when_lost=*/true);
}

Result<void> Pool::Ping() {
  return ReadOnly([](pqxx::transaction_base& tx) -> Result<void> {
    tx.exec("SELECT 1");
    return {};
  });
}

}  // namespace tidewheel::postgres
