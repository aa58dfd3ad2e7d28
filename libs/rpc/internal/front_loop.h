#pragma once

// Inside of this library: one thread of a front.

#include <sys/epoll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tidewheel/base/worker.h"
#include "tidewheel/rpc/internal/front_call.h"
#include "tidewheel/rpc/internal/front_connection.h"
#include "tidewheel/rpc/internal/front_letter.h"
#include "tidewheel/rpc/internal/front_shared.h"

namespace tidewheel::rpc {

/// A thread with an epoll over its share of the connections. In each of its turns it reads what
/// came, hands the calls that came together to their handlers, and writes what was answered.
class FrontLoop final : public ConnectionHost {
 public:
  /// `all` are the loops that connections are given to, in turn, by the one that accepts them.
  FrontLoop(FrontShared& shared, std::vector<std::unique_ptr<FrontLoop>>& all, bool accepts);
  ~FrontLoop() override;
  FrontLoop(const FrontLoop&) = delete;
  FrontLoop& operator=(const FrontLoop&) = delete;

  void Begin();
  /// Thread-safe.
  void Wake() const { mailbox_->Wake(); }
  /// Until its thread has ended, which it does when the front stops.
  void Join() { worker_.reset(); }

  void Arrived(std::shared_ptr<FrontCall> call) override { arrived_.push_back(std::move(call)); }
  void Touch(FrontConnection& connection) override;
  void Await(const FrontConnection& connection, bool writable) override;
  std::chrono::steady_clock::time_point now() const override { return now_; }
  const std::shared_ptr<FrontMailbox>& mailbox() const override { return mailbox_; }

 private:
  static constexpr std::uint64_t kEvent = 0;
  static constexpr std::uint64_t kFirstConnection = 1'024;  // Below it are the listeners.

  void Watch(int file, std::uint64_t id) const;
  void WatchListeners() const;
  void IgnoreListeners() const;
  FrontConnection* Find(std::uint64_t id) const;
  void Run();
  int Timeout() const;
  void OnEvent(const epoll_event& event);
  void Accept(int listener);
  void Add(net::Socket socket);
  void ReadLetters();
  void ReadLocal();
  void Deliver(FrontLetter letter);
  void HandleArrived();
  void FlushDirty();
  bool StopStep();
  void Tick();
  void Drop(std::uint64_t id) { connections_.erase(id); }

  FrontShared& shared_;
  std::vector<std::unique_ptr<FrontLoop>>& all_;
  const bool accepts_;
  const int epoll_;
  const std::shared_ptr<FrontMailbox> mailbox_ = std::make_shared<FrontMailbox>();
  std::unordered_map<std::uint64_t, std::unique_ptr<FrontConnection>> connections_;
  std::vector<std::shared_ptr<FrontCall>> arrived_;
  std::vector<std::shared_ptr<FrontCall>> handled_;
  std::vector<FrontLetter> letters_;
  std::vector<FrontLetter> local_;
  std::vector<std::uint64_t> dirty_;
  std::vector<std::uint64_t> flushed_;
  std::string scratch_;
  std::uint64_t next_id_ = kFirstConnection;
  bool accept_paused_ = false;
  bool going_away_ = false;
  std::chrono::steady_clock::time_point stop_by_{};
  std::chrono::steady_clock::time_point now_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_tick_ = now_;
  std::unique_ptr<Worker> worker_;  // Last: it uses the rest.
};

}  // namespace tidewheel::rpc
