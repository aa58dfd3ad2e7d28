#include "tidewheel/inference/oip_http/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <unordered_map>
#include <utility>

#include "tidewheel/base/worker.h"

namespace tidewheel::inference::http {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kScratchBytes = 64 * 1'024;
constexpr std::chrono::milliseconds kTick{250};
// How long a client may go on sending what will not be read, so that it sees the answer.
constexpr std::chrono::milliseconds kLinger{1'000};

}  // namespace

struct Letter {
  std::uint64_t connection = 0;
  std::function<Response()> make{};
  net::Socket accepted{};  // A new connection instead.
};

Exchange::Exchange(Head head, net::AlignedBytes body, std::uint64_t connection,
                   std::shared_ptr<Mailbox> mailbox, std::shared_ptr<Load> load)
    : head_(std::move(head)),
      body_(std::move(body)),
      connection_(connection),
      mailbox_(std::move(mailbox)),
      load_(std::move(load)) {}

Exchange::~Exchange() {
  if (!answered_) {
    Answer(Response{.status = 500, .body = "{\"error\":\"internal error\"}"});
  }
  load_->buffered_bytes -= accounted_;
  --load_->requests;
}

void Exchange::Account(std::size_t bytes) {
  accounted_ += bytes;
  load_->buffered_bytes += bytes;
}

void Exchange::Answer(Response response) {
  Answer([kept = std::make_shared<Response>(std::move(response))] { return std::move(*kept); });
}

void Exchange::Answer(std::function<Response()> make) {
  if (answered_.exchange(true)) return;
  mailbox_->Put({connection_, std::move(make), {}});
}

/// One thread, one epoll, a share of the connections.
class Server::Loop {
 public:
  Loop(Server& server, bool accepts)
      : server_(server),
        options_(server.options_),
        accepts_(accepts),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

  ~Loop() {
    mailbox_->Wake();
    worker_.reset();
    if (epoll_ >= 0) ::close(epoll_);
  }

  void Begin() {
    worker_ = std::make_unique<Worker>("http", [this](const std::stop_token&) {
      TakeShortTurns();
      Run();
    });
  }
  void Wake() { mailbox_->Wake(); }

 private:
  enum class State { kHead, kBody, kWorking, kWriting, kLingering };

  struct Connection {
    net::Socket socket;
    std::uint64_t id = 0;
    State state = State::kHead;
    bool readable = true;
    bool writable = true;
    bool closed_by_client = false;
    std::string received;  // Read, not yet used.
    Head head;
    net::AlignedBytes body;
    std::size_t accounted = 0;  // Of the body, while it is read.
    ChunkReader chunks;
    std::shared_ptr<Exchange> exchange;
    bool keep_alive = true;
    bool head_only = false;
    bool old = false;          // HTTP/1.0.
    bool body_unread = false;  // The client may still be sending what nobody will read.
    // The answer under way.
    std::string out_head;
    Response out;
    std::size_t out_done = 0;
    std::size_t out_size = 0;
    Clock::time_point since = Clock::now();  // Of the state.
  };

  static constexpr std::uint64_t kListener = 0;
  static constexpr std::uint64_t kEvent = 1;

  void Watch(int file, std::uint64_t id, std::uint32_t events) const {
    epoll_event event{};
    event.events = events;
    event.data.u64 = id;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, file, &event);
  }

  void Run() {
    mailbox_->MoveHere();
    scratch_.resize(kScratchBytes);
    Watch(mailbox_->event(), kEvent, EPOLLIN);
    if (accepts_) Watch(server_.listener_.file(), kListener, EPOLLIN);
    bool listening = accepts_;
    auto last_tick = Clock::now();
    Clock::time_point stop_by{};
    std::array<epoll_event, 128> events{};
    while (true) {
      const int timeout = mailbox_->PrepareToSleep() ? Timeout() : 0;
      const int count =
          ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout);
      mailbox_->Awake();
      now_ = Clock::now();
      ReadLetters();
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (event.data.u64 == kListener) {
          Accept();
        } else if (event.data.u64 == kEvent) {
          mailbox_->Quiet();
        } else if (Connection* connection = Find(event.data.u64)) {
          OnEvents(*connection, event.events);
        }
        DeliverLocal();
      }
      if (server_.stopping_) {
        if (stop_by == Clock::time_point{}) {
          stop_by = now_ + options_.drain;
          if (std::exchange(listening, false)) {
            ::epoll_ctl(epoll_, EPOLL_CTL_DEL, server_.listener_.file(), nullptr);
          }
        }
        CloseIdle();
        if (connections_.empty() || now_ >= stop_by) break;
      }
      if (now_ - last_tick >= kTick) {
        last_tick = now_;
        Tick();
      }
    }
    mailbox_->Close();
    while (!connections_.empty()) Close(*connections_.begin()->second);
  }

  int Timeout() const {
    return connections_.empty() && !accept_paused_ ? -1 : static_cast<int>(kTick.count());
  }

  Connection* Find(std::uint64_t id) const {
    const auto found = connections_.find(id);
    return found == connections_.end() ? nullptr : found->second.get();
  }

  void Accept() {
    for (int i = 0; i < 64; ++i) {
      net::Socket accepted(
          ::accept4(server_.listener_.file(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!accepted.open()) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
          // The listener stays readable: without a pause this thread would spin.
          ::epoll_ctl(epoll_, EPOLL_CTL_DEL, server_.listener_.file(), nullptr);
          accept_paused_ = true;
        }
        return;
      }
      const std::size_t chosen = server_.next_loop_++ % server_.loops_.size();
      server_.loops_[chosen]->mailbox_->Put({0, {}, std::move(accepted)});
    }
  }

  void ReadLetters() {
    std::vector<Letter> letters;
    mailbox_->Take(&letters);
    for (Letter& letter : letters) Deliver(std::move(letter));
    DeliverLocal();
  }

  void DeliverLocal() {
    while (!mailbox_->local().empty()) {
      std::vector<Letter> letters;
      letters.swap(mailbox_->local());
      for (Letter& letter : letters) Deliver(std::move(letter));
    }
  }

  void Deliver(Letter letter) {
    if (letter.accepted.open()) {
      Add(std::move(letter.accepted));
      return;
    }
    Connection* connection = Find(letter.connection);
    if (connection == nullptr || connection->state != State::kWorking) return;
    Respond(*connection, letter.make());
    Advance(*connection);
  }

  void Add(net::Socket socket) {
    const int on = 1;
    ::setsockopt(socket.file(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const bool full = server_.load_->connections >= options_.max_connections;
    if (full && !MakeRoom()) {
      options_.cut_off.Add();
      const Response response = server_.refuser_(503, "too many connections; try again later");
      const std::string answer = WriteHead(response, false) + response.body;
      [[maybe_unused]] const ssize_t sent =
          ::send(socket.file(), answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      ::shutdown(socket.file(), SHUT_WR);
      return;
    }
    auto connection = std::make_unique<Connection>();
    connection->socket = std::move(socket);
    connection->id = next_id_++;
    connection->since = now_;
    Watch(connection->socket.file(), connection->id, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    Connection& added = *connection;
    connections_.emplace(added.id, std::move(connection));
    options_.connections.Set(static_cast<double>(++server_.load_->connections));
    if (server_.stopping_) return Close(added);
    Advance(added);
  }

  // Whoever has been idle longest on this thread gives way, after a second at least.
  bool MakeRoom() {
    Connection* oldest = nullptr;
    for (const auto& [id, connection] : connections_) {
      if (!Idle(*connection)) continue;
      if (oldest == nullptr || connection->since < oldest->since) oldest = connection.get();
    }
    if (oldest == nullptr || now_ - oldest->since < std::chrono::seconds(1)) return false;
    options_.cut_off.Add();
    Close(*oldest);
    return true;
  }

  static bool Idle(const Connection& connection) {
    return connection.state == State::kHead && connection.received.empty();
  }

  void CloseIdle() {
    std::vector<Connection*> idle;
    for (const auto& [id, connection] : connections_) {
      if (connection->state != State::kWorking && connection->state != State::kWriting) {
        idle.push_back(connection.get());
      }
    }
    for (Connection* connection : idle) Close(*connection);
  }

  void OnEvents(Connection& connection, std::uint32_t events) {
    if ((events & (EPOLLIN | EPOLLRDHUP)) != 0) connection.readable = true;
    if ((events & EPOLLOUT) != 0) connection.writable = true;
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
      return Close(connection);
    }
    if ((events & EPOLLRDHUP) != 0) {
      connection.closed_by_client = true;
      if (connection.exchange) connection.exchange->SetGone();
    }
    Advance(connection);
  }

  // Does what can be done without waiting. The connection may be gone afterwards.
  void Advance(Connection& connection) {
    const std::uint64_t id = connection.id;
    while (true) {
      bool more = false;
      switch (connection.state) {
        case State::kHead:
          more = ReadHeadOf(connection);
          break;
        case State::kBody:
          more = ReadBodyOf(connection);
          break;
        case State::kWorking:
          return;
        case State::kWriting:
          more = Write(connection);
          break;
        case State::kLingering:
          more = Discard(connection);
          break;
      }
      if (!more || Find(id) == nullptr) return;
    }
  }

  // What came, or why there is nothing: kAgain, or the connection was closed.
  enum class Got { kSome, kAgain, kClosed };
  Got Receive(Connection& connection, char* to, std::size_t room, std::size_t* got) {
    *got = 0;
    if (!connection.readable) return Got::kAgain;
    while (true) {
      const ssize_t read = ::recv(connection.socket.file(), to, room, 0);
      if (read > 0) {
        *got = static_cast<std::size_t>(read);
        // Less than there was room for: the rest comes with an event of its own.
        if (*got < room && !connection.closed_by_client) connection.readable = false;
        return Got::kSome;
      }
      if (read < 0 && errno == EINTR) continue;
      if (read < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        connection.readable = false;
        return Got::kAgain;
      }
      Close(connection);
      return Got::kClosed;
    }
  }

  bool ReadHeadOf(Connection& connection) {
    if (!connection.received.empty()) {
      std::size_t used = 0;
      if (auto refusal = ReadHead(connection.received, options_.head, &connection.head, &used)) {
        return Refuse(connection, *refusal);
      }
      if (used > 0) {
        connection.received.erase(0, used);
        return BeginBody(connection);
      }
    }
    std::size_t got = 0;
    if (Receive(connection, scratch_.data(), scratch_.size(), &got) != Got::kSome) return false;
    if (connection.received.empty()) connection.since = now_;
    connection.received.append(scratch_.data(), got);
    return true;
  }

  bool BeginBody(Connection& connection) {
    const Head& head = connection.head;
    connection.keep_alive = head.keep_alive;
    connection.head_only = head.method == "HEAD";
    connection.old = head.minor_version == 0;
    connection.body = net::AlignedBytes();
    connection.chunks = ChunkReader();
    const std::uint64_t length = head.content_length.value_or(0);
    if (length > options_.max_body_bytes) {
      return Refuse(connection, {413, "a body of more than " +
                                          std::to_string(options_.max_body_bytes) + " bytes"});
    }
    if (server_.load_->buffered_bytes + length > options_.max_buffered_bytes) {
      return Refuse(connection, {503, "too many requests are being read; try again later"});
    }
    if (length == 0 && !head.chunked) return Dispatch(connection);
    // Tensors in binary form begin behind the JSON: there they shall lie well.
    std::uint64_t json_length = 0;
    const std::string_view json = head.Find("inference-header-content-length");
    const auto parsed = std::from_chars(json.data(), json.data() + json.size(), json_length);
    if (!json.empty() && parsed.ec == std::errc()) connection.body.AlignAt(json_length);
    if (head.expects_continue && connection.received.empty()) {
      constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      // The buffer of a connection on which nothing is under way has room for it.
      if (::send(connection.socket.file(), kContinue.data(), kContinue.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(kContinue.size())) {
        Close(connection);
        return false;
      }
    }
    connection.state = State::kBody;
    return true;
  }

  // Only what has come is paid for with memory, whatever a Content-Length announces.
  void AccountBody(Connection& connection) {
    const std::size_t now = connection.body.size() + connection.body.room();
    server_.load_->buffered_bytes += now - connection.accounted;
    connection.accounted = now;
  }

  bool NoMemory(Connection& connection) {
    return Refuse(connection, {503, "no memory for the request's body; try again later"});
  }

  bool ReadBodyOf(Connection& connection) {
    net::AlignedBytes& body = connection.body;
    if (server_.load_->buffered_bytes > options_.max_buffered_bytes) {
      return Refuse(connection, {503, "too many requests are being read; try again later"});
    }
    if (connection.head.chunked) {
      if (!connection.received.empty()) {
        std::size_t used = 0;
        const auto refusal =
            connection.chunks.Read(connection.received, options_.max_body_bytes, &body, &used);
        AccountBody(connection);
        if (refusal) return Refuse(connection, *refusal);
        connection.received.erase(0, used);
        if (connection.chunks.done()) return Dispatch(connection);
      }
      std::size_t got = 0;
      if (Receive(connection, scratch_.data(), scratch_.size(), &got) != Got::kSome) return false;
      connection.received.append(scratch_.data(), got);
      return true;
    }
    const std::size_t length = static_cast<std::size_t>(*connection.head.content_length);
    if (!connection.received.empty() && body.size() < length) {
      const std::size_t take = std::min(connection.received.size(), length - body.size());
      constexpr std::size_t kAtOnce = std::size_t{1} << 20;
      if (!body.TryReserve(std::min(length, std::max(kAtOnce, take)))) return NoMemory(connection);
      body.Append(std::string_view(connection.received).substr(0, take));
      connection.received.erase(0, take);
    }
    if (body.size() == length) return Dispatch(connection);
    if (body.room() == 0) {
      constexpr std::size_t kAtOnce = std::size_t{1} << 20;
      if (!body.TryReserve(std::min(length, std::max(kAtOnce, 2 * body.size())))) {
        return NoMemory(connection);
      }
    }
    AccountBody(connection);
    std::size_t got = 0;
    const std::size_t room = std::min(body.room(), length - body.size());
    if (Receive(connection, body.Room(room), room, &got) != Got::kSome) return false;
    body.Grow(got);
    return true;
  }

  bool Dispatch(Connection& connection) {
    AccountBody(connection);
    server_.load_->buffered_bytes -= std::exchange(connection.accounted, 0);
    connection.received.shrink_to_fit();
    connection.state = State::kWorking;
    connection.since = now_;
    if (server_.load_->requests.fetch_add(1) >= options_.max_requests) {
      --server_.load_->requests;
      Respond(connection, server_.refuser_(503, "too many requests at once; try again later"));
      return true;
    }
    const std::size_t bytes = connection.body.size();
    connection.exchange =
        std::make_shared<Exchange>(std::move(connection.head), std::move(connection.body),
                                   connection.id, mailbox_, server_.load_);
    connection.exchange->Account(bytes);
    if (connection.closed_by_client) connection.exchange->SetGone();
    server_.handler_(connection.exchange);
    return true;
  }

  bool Refuse(Connection& connection, const Refusal& refusal) {
    server_.load_->buffered_bytes -= std::exchange(connection.accounted, 0);
    connection.keep_alive = false;
    connection.body_unread = true;
    connection.body = net::AlignedBytes();
    connection.received.clear();
    connection.state = State::kWorking;
    Respond(connection, server_.refuser_(refusal.status, refusal.words));
    return true;
  }

  void Respond(Connection& connection, Response response) {
    if (response.close || server_.stopping_) connection.keep_alive = false;
    if (connection.old && connection.keep_alive) response.headers += "Connection: keep-alive\r\n";
    connection.out_head = WriteHead(response, connection.keep_alive);
    if (connection.head_only) {
      response.body.clear();
      response.pieces.clear();
    }
    connection.exchange.reset();
    connection.out = std::move(response);
    connection.out_done = 0;
    connection.out_size = connection.out_head.size() + connection.out.size();
    connection.state = State::kWriting;
    connection.since = now_;
  }

  bool Write(Connection& connection) {
    while (connection.out_done < connection.out_size) {
      if (!connection.writable) return false;
      std::array<iovec, 64> parts{};
      std::size_t count = 0;
      std::size_t skip = connection.out_done;
      const auto add = [&](std::string_view bytes) {
        if (skip >= bytes.size()) {
          skip -= bytes.size();
          return;
        }
        bytes.remove_prefix(std::exchange(skip, 0));
        parts[count++] = {const_cast<char*>(bytes.data()), bytes.size()};
      };
      add(connection.out_head);
      add(connection.out.body);
      for (const Response::Piece& piece : connection.out.pieces) {
        if (count == parts.size()) break;
        add(piece.bytes);
      }
      msghdr message{};
      message.msg_iov = parts.data();
      message.msg_iovlen = count;
      const ssize_t sent = ::sendmsg(connection.socket.file(), &message, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        connection.writable = false;
        return false;
      }
      if (sent < 0) {
        Close(connection);
        return false;
      }
      connection.out_done += static_cast<std::size_t>(sent);
    }
    connection.out = Response();
    connection.out_head.clear();
    connection.since = now_;
    if (connection.keep_alive) {
      connection.state = State::kHead;
      return true;
    }
    if (!connection.body_unread) {
      Close(connection);
      return false;
    }
    // Closing now would reset the connection under an answer that the client has not read yet.
    ::shutdown(connection.socket.file(), SHUT_WR);
    connection.state = State::kLingering;
    return true;
  }

  bool Discard(Connection& connection) {
    std::size_t got = 0;
    return Receive(connection, scratch_.data(), scratch_.size(), &got) == Got::kSome;
  }

  Clock::duration Allowed(std::size_t bytes) const {
    return options_.transfer_timeout +
           std::chrono::seconds(bytes / std::max<std::size_t>(options_.least_bytes_per_second, 1));
  }

  void Tick() {
    if (accept_paused_) {
      accept_paused_ = false;
      if (!server_.stopping_) Watch(server_.listener_.file(), kListener, EPOLLIN);
    }
    std::vector<Connection*> late;
    for (const auto& [id, connection] : connections_) {
      if (Late(*connection)) late.push_back(connection.get());
    }
    for (Connection* connection : late) {
      const bool was_idle = Idle(*connection);
      const bool reads =
          !was_idle && (connection->state == State::kHead || connection->state == State::kBody);
      if (!was_idle && connection->state != State::kLingering) options_.cut_off.Add();
      if (!reads) {
        // Who does not read gets no answer kept for it.
        const linger reset{1, 0};
        if (connection->state == State::kWriting) {
          ::setsockopt(connection->socket.file(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        Close(*connection);
        continue;
      }
      Refuse(*connection, {408, "the request took too long to arrive"});
      Advance(*connection);
    }
  }

  bool Late(const Connection& connection) const {
    const auto passed = now_ - connection.since;
    switch (connection.state) {
      case State::kHead:
        return passed > (connection.received.empty() ? Clock::duration(options_.idle_timeout)
                                                     : Clock::duration(options_.transfer_timeout));
      case State::kBody:
        return passed > Allowed(connection.head.chunked
                                    ? connection.body.size()
                                    : static_cast<std::size_t>(*connection.head.content_length));
      case State::kWorking:
        return false;
      case State::kWriting:
        return passed > Allowed(connection.out_size);
      case State::kLingering:
        return passed > kLinger;
    }
    return false;
  }

  void Close(Connection& connection) {
    if (connection.exchange) connection.exchange->SetGone();
    server_.load_->buffered_bytes -= std::exchange(connection.accounted, 0);
    options_.connections.Set(static_cast<double>(--server_.load_->connections));
    connections_.erase(connection.id);
  }

  Server& server_;
  const ServerOptions& options_;
  const bool accepts_;
  const int epoll_;
  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::uint64_t next_id_ = 2;  // 0 and 1 are the listener and the mailbox.
  std::string scratch_;
  bool accept_paused_ = false;
  Clock::time_point now_ = Clock::now();
  std::unique_ptr<Worker> worker_;  // Last: it uses the rest.
};

Result<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, Handler handler,
                                              Refuser refuser) {
  auto listener = net::Listen(options.listen);
  if (!listener) return listener.error();
  std::unique_ptr<Server> server(new Server(options, std::move(handler), std::move(refuser)));
  server->listener_ = std::move(listener->socket);
  server->address_ = std::move(listener->address);
  const std::size_t threads = std::max<std::size_t>(options.threads, 1);
  // The first accepts for all.
  for (std::size_t i = 0; i < threads; ++i) {
    server->loops_.push_back(std::make_unique<Loop>(*server, i == 0));
  }
  for (const auto& loop : server->loops_) loop->Begin();
  return server;
}

Server::Server(const ServerOptions& options, Handler handler, Refuser refuser)
    : options_(options), handler_(std::move(handler)), refuser_(std::move(refuser)) {}

Server::~Server() {
  stopping_ = true;
  for (const auto& loop : loops_) loop->Wake();
  loops_.clear();
}

}  // namespace tidewheel::inference::http
