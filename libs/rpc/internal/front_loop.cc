#include "tidewheel/rpc/internal/front_loop.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace tidewheel::rpc {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = FrontLetter::Kind;

constexpr std::size_t kScratchBytes = 64 * 1'024;
constexpr std::chrono::milliseconds kTick{250};
constexpr std::chrono::milliseconds kStopTick{10};
// Answers that were given while others are worked on are sent off after so long.
constexpr std::chrono::microseconds kHoldBack{40};

}  // namespace

FrontLoop::FrontLoop(FrontShared& shared, std::vector<std::unique_ptr<FrontLoop>>& all,
                     bool accepts)
    : shared_(shared), all_(all), accepts_(accepts), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

FrontLoop::~FrontLoop() {
  Wake();
  worker_.reset();
  if (epoll_ >= 0) ::close(epoll_);
}

void FrontLoop::Begin() {
  worker_ = std::make_unique<Worker>("front", [this](const std::stop_token&) {
    TakeShortTurns();
    Run();
  });
}

void FrontLoop::Touch(FrontConnection& connection) {
  if (std::exchange(connection.dirty, true)) return;
  dirty_.push_back(connection.id());
}

void FrontLoop::Await(const FrontConnection& connection, bool writable) {
  epoll_event event{};
  // Who does not take answers is not asked for more requests.
  event.events = writable ? EPOLLOUT : EPOLLIN;
  event.data.u64 = connection.id();
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.file(), &event);
}

void FrontLoop::Watch(int file, std::uint64_t id) const {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = id;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, file, &event);
}

void FrontLoop::WatchListeners() const {
  for (std::size_t i = 0; i < shared_.listeners.size(); ++i) {
    Watch(shared_.listeners[i].file(), i + 1);
  }
}

void FrontLoop::IgnoreListeners() const {
  for (const net::Socket& listener : shared_.listeners) {
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, listener.file(), nullptr);
  }
}

FrontConnection* FrontLoop::Find(std::uint64_t id) const {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second.get();
}

int FrontLoop::Timeout() const {
  if (shared_.stopping) return static_cast<int>(kStopTick.count());
  return connections_.empty() && !accept_paused_ ? -1 : static_cast<int>(kTick.count());
}

void FrontLoop::Run() {
  mailbox_->MoveHere();
  scratch_.resize(kScratchBytes);
  Watch(mailbox_->event(), kEvent);
  if (accepts_) WatchListeners();
  std::array<epoll_event, 128> events{};
  while (true) {
    const int timeout = mailbox_->PrepareToSleep() ? Timeout() : 0;
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout);
    mailbox_->Awake();
    now_ = Clock::now();
    for (int i = 0; i < count; ++i) OnEvent(events[static_cast<std::size_t>(i)]);
    ReadLetters();
    HandleArrived();
    ReadLocal();
    FlushDirty();
    if (shared_.stopping && StopStep()) break;
    if (now_ - last_tick_ >= kTick) Tick();
  }
  mailbox_->Close();
  connections_.clear();
}

void FrontLoop::OnEvent(const epoll_event& event) {
  const std::uint64_t id = event.data.u64;
  if (id == kEvent) return mailbox_->Quiet();
  if (id < kFirstConnection) return Accept(shared_.listeners[id - 1].file());
  FrontConnection* const connection = Find(id);
  if (connection == nullptr) return;
  if ((event.events & EPOLLOUT) != 0 && connection->blocked()) {
    connection->Unblock();
    Await(*connection, false);
    Touch(*connection);
  }
  const bool broken = (event.events & (EPOLLERR | EPOLLHUP)) != 0;
  if (broken || ((event.events & EPOLLIN) != 0 && !connection->Read(scratch_))) Drop(id);
}

void FrontLoop::Accept(int listener) {
  for (int i = 0; i < 64; ++i) {
    net::Socket accepted(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!accepted.open()) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // The listener stays readable: without a pause this thread would spin.
        IgnoreListeners();
        accept_paused_ = true;
      }
      return;
    }
    FrontLetter letter;
    letter.kind = Kind::kAccepted;
    letter.accepted = std::move(accepted);
    all_[shared_.next_loop++ % all_.size()]->mailbox_->Put(std::move(letter));
  }
}

void FrontLoop::Add(net::Socket socket) {
  if (shared_.stopping) return;
  const int on = 1;
  ::setsockopt(socket.file(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto connection =
      std::make_unique<FrontConnection>(*this, shared_, std::move(socket), next_id_++);
  Watch(connection->file(), connection->id());
  if (connection->Begin()) connections_.emplace(connection->id(), std::move(connection));
}

void FrontLoop::ReadLetters() {
  letters_.clear();
  mailbox_->Take(&letters_);
  for (FrontLetter& letter : letters_) Deliver(std::move(letter));
  letters_.clear();
}

void FrontLoop::ReadLocal() {
  while (!mailbox_->local().empty()) {
    local_.clear();
    local_.swap(mailbox_->local());
    for (FrontLetter& letter : local_) Deliver(std::move(letter));
    local_.clear();
  }
}

void FrontLoop::Deliver(FrontLetter letter) {
  if (letter.kind == Kind::kAccepted) return Add(std::move(letter.accepted));
  if (FrontConnection* const connection = Find(letter.connection)) {
    connection->Take(std::move(letter));
  }
}

void FrontLoop::HandleArrived() {
  if (arrived_.empty()) return;
  // What has been answered by others goes first.
  FlushDirty();
  handled_.clear();
  handled_.swap(arrived_);
  auto flushed = Clock::now();
  for (auto& call : handled_) {
    call->SetCameWith(handled_.size());
    const DirectMethod& method = call->method();
    method.handle(std::move(call));
    ReadLocal();
    if (dirty_.empty()) continue;
    const auto now = Clock::now();
    if (now - flushed < kHoldBack) continue;
    FlushDirty();
    flushed = now;
  }
  handled_.clear();
}

void FrontLoop::FlushDirty() {
  if (dirty_.empty()) return;
  flushed_.clear();
  flushed_.swap(dirty_);
  for (const std::uint64_t id : flushed_) {
    FrontConnection* const connection = Find(id);
    if (connection == nullptr) continue;
    connection->dirty = false;
    if (!connection->Flush()) Drop(id);
  }
}

bool FrontLoop::StopStep() {
  if (stop_by_ == Clock::time_point{}) {
    stop_by_ = now_ + shared_.options.drain;
    if (accepts_ && !accept_paused_) IgnoreListeners();
    accept_paused_ = false;
    for (const auto& [id, connection] : connections_) connection->GoAway(false);
    FlushDirty();
    return connections_.empty();
  }
  // Calls that were on their way when the notice went out are taken for one more turn.
  if (!std::exchange(going_away_, true)) {
    for (const auto& [id, connection] : connections_) connection->GoAway(true);
    FlushDirty();
  }
  std::vector<std::uint64_t> idle;
  for (const auto& [id, connection] : connections_) {
    if (connection->idle() && !connection->blocked()) idle.push_back(id);
  }
  for (const std::uint64_t id : idle) Drop(id);
  return connections_.empty() || now_ >= stop_by_;
}

void FrontLoop::Tick() {
  last_tick_ = now_;
  if (accept_paused_) {
    accept_paused_ = false;
    if (!shared_.stopping) WatchListeners();
  }
  std::vector<std::uint64_t> dead;
  for (const auto& [id, connection] : connections_) {
    if (!connection->Tick(now_)) dead.push_back(id);
  }
  for (const std::uint64_t id : dead) Drop(id);
  FlushDirty();
}

}  // namespace tidewheel::rpc
