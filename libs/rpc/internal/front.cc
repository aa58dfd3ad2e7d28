#include "tidewheel/rpc/internal/front.h"

#include <grpcpp/generic/generic_stub.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "tidewheel/base/worker.h"
#include "tidewheel/rpc/internal/frame_filter.h"
#include "tidewheel/rpc/internal/front_mail.h"
#include "tidewheel/rpc/internal/listen_socket.h"
#include "tidewheel/rpc/internal/message_reader.h"
#include "tidewheel/rpc/internal/relay.h"
#include "tidewheel/rpc/internal/wire_text.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::rpc {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = FrontLetter::Kind;

constexpr std::size_t kScratchBytes = 64 * 1'024;
// What is read from one connection before the others have their turn.
constexpr int kReadsInARow = 4;
// What is kept ready to be sent of one connection.
constexpr std::size_t kSendBytes = 128 * 1'024;
// A client may send so much of one message, and of all its messages, before it is told to go on.
constexpr std::int32_t kStreamWindow = 1 << 20;
constexpr std::int32_t kConnectionWindow = 16 << 20;
// Messages of a stream that wait to be passed on; more are not asked for.
constexpr std::size_t kMostWaiting = 8;
// Calls that a client may take back on one connection, each second.
constexpr std::uint64_t kMostResets = 20'000;
// Memory for what is sent that a connection keeps.
constexpr std::size_t kKeptBytes = 32 * 1'024;
constexpr std::chrono::milliseconds kTick{250};
constexpr std::chrono::milliseconds kStopTick{10};
// Answers that were given while others are worked on are sent off after so long.
constexpr std::chrono::microseconds kHoldBack{40};

std::string_view View(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

nghttp2_nv Field(std::string_view name, std::string_view value, bool keep = true) {
  auto* const n = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data()));
  auto* const v = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data()));
  // What differs in every answer is not worth a place in the table of the compression.
  return {n, v, name.size(), value.size(),
          static_cast<std::uint8_t>(keep ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_INDEX)};
}

struct FreeSession {
  void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
};

void CloseFile(int file) {
  if (file >= 0) ::close(file);
}

}  // namespace

/// Outlives the front in its last call.
struct Front::Load {
  std::atomic<std::size_t> buffered_bytes{0};
  std::atomic<std::size_t> calls{0};  // Direct and relayed ones.

  void Leave() {
    if (calls.fetch_sub(1) == 1) calls.notify_all();
  }
  void WaitUntilLeft() const {
    while (const std::size_t left = calls.load()) calls.wait(left);
  }
  /// Counts a call until it is let go.
  static std::shared_ptr<const void> Enter(const std::shared_ptr<Load>& load) {
    load->calls.fetch_add(1);
    return {load.get(), [load](const void* /*itself*/) { load->Leave(); }};
  }
};

/// A message that was passed on: it counts as long as anybody has it.
struct Front::Passed {
  Passed(AlignedBytes bytes, std::shared_ptr<Load> with)
      : message(std::move(bytes)), load(std::move(with)) {
    load->buffered_bytes.fetch_add(message.size(), std::memory_order_relaxed);
  }
  ~Passed() { load->buffered_bytes.fetch_sub(message.size(), std::memory_order_relaxed); }
  Passed(const Passed&) = delete;
  Passed& operator=(const Passed&) = delete;

  const AlignedBytes message;
  const std::shared_ptr<Load> load;
};

/// What all loops share.
struct Front::Shared {
  Shared(const FrontOptions& with, const std::vector<DirectMethod>& direct, DirectObserver& told,
         std::shared_ptr<grpc::Channel> channel)
      : options(with), observer(told), others(std::move(channel)) {
    for (const DirectMethod& method : direct) methods.emplace(method.path, &method);
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_option_new(&session_options);
    // Windows grow as messages are taken, not as they are received.
    nghttp2_option_set_no_auto_window_update(session_options, 1);
    nghttp2_option_set_no_closed_streams(session_options, 1);
    // Calls whose deadline passes are reset by their client: many, where a server is overloaded.
    nghttp2_option_set_stream_reset_rate_limit(session_options, kMostResets, kMostResets);
  }
  ~Shared() {
    for (const int listener : listeners) CloseFile(listener);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(session_options);
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  const DirectMethod* Find(std::string_view path) const {
    const auto found = methods.find(path);
    return found == methods.end() ? nullptr : found->second;
  }

  const FrontOptions options;
  DirectObserver& observer;
  grpc::GenericStub others;
  std::map<std::string, const DirectMethod*, std::less<>> methods{};
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* session_options = nullptr;
  std::vector<int> listeners{};
  const std::shared_ptr<Load> load = std::make_shared<Load>();
  std::atomic<bool> stopping{false};
  std::atomic<std::size_t> next_loop{0};
};

/// A direct call. Its stream, and the whole front, may be gone before it.
class Front::Call final : public DirectCall {
 public:
  Call(const DirectMethod& method, DirectObserver& observer, AlignedBytes message,
       HeaderList headers, std::optional<std::chrono::system_clock::time_point> deadline,
       std::shared_ptr<FrontMailbox> mailbox, std::uint64_t connection, std::int32_t stream,
       std::shared_ptr<Load> load)
      : method_(method),
        observer_(observer),
        message_(std::move(message)),
        headers_(std::move(headers)),
        deadline_(deadline),
        mailbox_(std::move(mailbox)),
        connection_(connection),
        stream_(stream),
        load_(std::move(load)),
        held_(message_.size()) {
    load_->buffered_bytes.fetch_add(held_, std::memory_order_relaxed);
    load_->calls.fetch_add(1, std::memory_order_relaxed);
    observer_.Began(method_);
  }
  ~Call() override {
    if (!answered_.load(std::memory_order_relaxed)) {
      Refuse({grpc::StatusCode::INTERNAL, "internal error"});
    }
    load_->buffered_bytes.fetch_sub(held_, std::memory_order_relaxed);
    load_->Leave();
  }

  std::string_view message() const override { return message_.view(); }
  std::string_view Header(std::string_view key) const override {
    for (const auto& [name, value] : headers_) {
      if (name == key) return value;
    }
    return {};
  }
  std::optional<std::chrono::system_clock::time_point> deadline() const override {
    return deadline_;
  }
  bool cancelled() const override { return cancelled_.load(std::memory_order_relaxed); }
  std::size_t came_with() const override { return came_with_; }

  void Answer(MessageParts message) override { End({}, std::move(message)); }
  void Refuse(const grpc::Status& status) override {
    End(status.ok() ? grpc::Status(grpc::StatusCode::INTERNAL, "internal error") : status, {});
  }

  void SetCancelled() { cancelled_.store(true, std::memory_order_relaxed); }
  void SetCameWith(std::size_t calls) { came_with_ = calls; }
  const DirectMethod& method() const { return method_; }

 private:
  void End(const grpc::Status& status, MessageParts message) {
    if (answered_.exchange(true)) return;
    observer_.Ended(method_, *this, status, Clock::now() - began_);
    FrontLetter letter;
    letter.kind = status.ok() ? Kind::kAnswer : Kind::kEnd;
    letter.connection = connection_;
    letter.stream = stream_;
    letter.status = status;
    letter.message = std::move(message);
    mailbox_->Put(std::move(letter));
  }

  const DirectMethod& method_;
  DirectObserver& observer_;
  const AlignedBytes message_;
  const HeaderList headers_;
  const std::optional<std::chrono::system_clock::time_point> deadline_;
  const std::shared_ptr<FrontMailbox> mailbox_;
  const std::uint64_t connection_;
  const std::int32_t stream_;
  const std::shared_ptr<Load> load_;
  const std::size_t held_;
  const Clock::time_point began_ = Clock::now();
  std::size_t came_with_ = 1;
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> answered_{false};
};

struct Front::Stream {
  // The request.
  std::string path{};
  std::string method{};
  std::string content_type{};
  std::string coding{};
  HeaderList headers{};
  std::size_t header_bytes = 0;
  std::string wrong_header{};  // The first that is no metadata.
  std::optional<std::chrono::system_clock::time_point> deadline{};
  const DirectMethod* direct = nullptr;
  std::optional<MessageReader> reader{};  // Until the request is refused.
  std::optional<AlignedBytes> message{};  // Of a direct call, read and not handed over yet.
  std::size_t accounted = 0;
  std::size_t withheld = 0;    // Of the window, until messages have been passed on.
  std::size_t waiting = 0;     // Messages a relay was given and has not passed on.
  bool request_ended = false;  // The client has said all it had to say.
  std::weak_ptr<Call> call{};  // Who lets go of it without an answer is found out.
  std::shared_ptr<Relay> relay{};
  // The answer.
  bool answering = false;  // Its headers were submitted.
  bool deferred = false;   // The data waits for more.
  bool ending = false;     // All is there that will be.
  std::deque<MessageParts> out{};
  bool within = false;  // The first of `out` is under way.
  std::array<char, 5> prefix{};
  std::size_t prefix_done = 0;
  std::size_t part = 0;
  std::size_t part_done = 0;
  grpc::Status status{};
  HeaderList trailers{};
};

/// One HTTP/2 connection. All on its loop's thread.
class Front::Connection {
 public:
  Connection(Loop& loop, Shared& shared, int file, std::uint64_t id);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  std::uint64_t id() const { return id_; }
  int file() const { return file_; }

  /// These say whether the connection goes on.
  bool Begin();
  bool Read(std::string& scratch);
  bool Flush();

  void Take(FrontLetter letter);
  void GoAway(bool last);
  bool idle() const { return streams_.empty(); }
  bool blocked() const { return blocked_; }
  void Unblock() { blocked_ = false; }
  /// False: it lives no more.
  bool Tick(Clock::time_point now);
  void CancelAll();

  bool dirty = false;  // In its loop's list of those that may have something to send.

  static void SetCallbacks(nghttp2_session_callbacks* callbacks);

 private:
  Stream* Find(std::int32_t id) const {
    return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session_.get(), id));
  }
  int OnBeginHeaders(std::int32_t id);
  int OnHeader(Stream& stream, std::string_view name, std::string_view value);
  void OnHeadersEnd(std::int32_t id, Stream& stream);
  void OnData(std::int32_t id, Stream& stream, std::string_view data);
  void OnRequestEnd(std::int32_t id, Stream& stream);
  void OnClose(std::int32_t id);
  void OnMessage(std::int32_t id, Stream& stream);
  void HandOver(std::int32_t id, Stream& stream);
  void Account(Stream& stream, std::size_t bytes);
  ssize_t ReadAnswer(std::int32_t id, Stream& stream, std::uint8_t* to, std::size_t room,
                     std::uint32_t* flags);
  bool FillPrefix(Stream& stream);
  void SubmitHeaders(std::int32_t id, Stream& stream, const HeaderList& headers);
  void Submit(std::int32_t id, Stream& stream, MessageParts message);
  void SubmitTrailers(std::int32_t id, Stream& stream);
  void End(std::int32_t id, Stream& stream, const grpc::Status& status);
  void RefuseHttp(std::int32_t id, Stream& stream, const char* status);
  void Resume(std::int32_t id, Stream& stream);

  Loop& loop_;
  Shared& shared_;
  const int file_;
  const std::uint64_t id_;
  std::unordered_map<std::int32_t, std::unique_ptr<Stream>> streams_;
  std::unique_ptr<nghttp2_session, FreeSession> session_;
  FrameFilter filter_;
  std::string out_;
  std::size_t out_done_ = 0;
  bool blocked_ = false;
  bool pinged_ = false;
  Clock::time_point last_read_;
  Clock::time_point last_progress_;  // Of what is sent, while it is blocked.
};

class Front::Loop {
 public:
  Loop(Shared& shared, std::vector<std::unique_ptr<Loop>>& all, bool accepts)
      : shared_(shared), all_(all), accepts_(accepts), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}
  ~Loop() {
    Wake();
    worker_.reset();
    CloseFile(epoll_);
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void Begin() {
    worker_ = std::make_unique<Worker>("front", [this](const std::stop_token&) {
      TakeShortTurns();
      Run();
    });
  }
  void Wake() const { mailbox_->Wake(); }
  void Join() { worker_.reset(); }

  const std::shared_ptr<FrontMailbox>& mailbox() const { return mailbox_; }
  void Arrived(std::shared_ptr<Call> call) { arrived_.push_back(std::move(call)); }
  void Touch(Connection& connection) {
    if (std::exchange(connection.dirty, true)) return;
    dirty_.push_back(connection.id());
  }
  void Await(const Connection& connection, bool writable) const {
    epoll_event event{};
    // Who does not take answers is not asked for more requests.
    event.events = writable ? EPOLLOUT : EPOLLIN;
    event.data.u64 = connection.id();
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.file(), &event);
  }
  Clock::time_point now() const { return now_; }

 private:
  static constexpr std::uint64_t kEvent = 0;
  static constexpr std::uint64_t kFirstConnection = 1'024;  // Below it are the listeners.

  void Watch(int file, std::uint64_t id) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = id;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, file, &event);
  }
  void WatchListeners() const {
    for (std::size_t i = 0; i < shared_.listeners.size(); ++i) Watch(shared_.listeners[i], i + 1);
  }
  void IgnoreListeners() const {
    for (const int listener : shared_.listeners) {
      ::epoll_ctl(epoll_, EPOLL_CTL_DEL, listener, nullptr);
    }
  }
  Connection* Find(std::uint64_t id) const {
    const auto found = connections_.find(id);
    return found == connections_.end() ? nullptr : found->second.get();
  }

  void Run();
  int Timeout() const;
  void OnEvent(const epoll_event& event);
  void Accept(int listener);
  void Add(int file);
  void ReadLetters();
  void ReadLocal();
  void Deliver(FrontLetter letter);
  void HandleArrived();
  void FlushDirty();
  bool StopStep();
  void Tick();
  void Drop(std::uint64_t id) { connections_.erase(id); }

  Shared& shared_;
  std::vector<std::unique_ptr<Loop>>& all_;
  const bool accepts_;
  const int epoll_;
  const std::shared_ptr<FrontMailbox> mailbox_ = std::make_shared<FrontMailbox>();
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<std::shared_ptr<Call>> arrived_;
  std::vector<std::shared_ptr<Call>> handled_;
  std::vector<FrontLetter> letters_;
  std::vector<FrontLetter> local_;
  std::vector<std::uint64_t> dirty_;
  std::vector<std::uint64_t> flushed_;
  std::string scratch_;
  std::uint64_t next_id_ = kFirstConnection;
  bool accept_paused_ = false;
  bool going_away_ = false;
  Clock::time_point stop_by_{};
  Clock::time_point now_ = Clock::now();
  Clock::time_point last_tick_ = now_;
  std::unique_ptr<Worker> worker_;  // Last: it uses the rest.
};

Front::Connection::Connection(Loop& loop, Shared& shared, int file, std::uint64_t id)
    : loop_(loop),
      shared_(shared),
      file_(file),
      id_(id),
      last_read_(loop.now()),
      last_progress_(loop.now()) {
  nghttp2_session* session = nullptr;
  nghttp2_session_server_new2(&session, shared.callbacks, this, shared.session_options);
  session_.reset(session);
}

Front::Connection::~Connection() {
  CancelAll();
  CloseFile(file_);
}

void Front::Connection::CancelAll() {
  for (const auto& [id, stream] : streams_) {
    Account(*stream, 0);
    if (const auto call = stream->call.lock()) call->SetCancelled();
    if (stream->relay) stream->relay->Cancel();
  }
  streams_.clear();
}

void Front::Connection::SetCallbacks(nghttp2_session_callbacks* callbacks) {
  nghttp2_session_callbacks_set_on_begin_headers_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
        return static_cast<Connection*>(user)->OnBeginHeaders(frame->hd.stream_id);
      });
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                    std::uint8_t, void* user) {
        auto& connection = *static_cast<Connection*>(user);
        Stream* const stream = connection.Find(frame->hd.stream_id);
        if (stream == nullptr || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
        return connection.OnHeader(*stream, View(name, name_size), View(value, value_size));
      });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      callbacks, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                    std::size_t size, void* user) {
        auto& connection = *static_cast<Connection*>(user);
        if (Stream* const stream = connection.Find(id)) {
          connection.OnData(id, *stream, View(data, size));
        } else {
          nghttp2_session_consume_connection(connection.session_.get(), size);
        }
        return 0;
      });
  nghttp2_session_callbacks_set_on_frame_recv_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        auto& connection = *static_cast<Connection*>(user);
        const bool headers = frame->hd.type == NGHTTP2_HEADERS;
        if (!headers && frame->hd.type != NGHTTP2_DATA) return 0;
        const std::int32_t id = frame->hd.stream_id;
        Stream* stream = connection.Find(id);
        if (stream == nullptr) return 0;
        if (headers && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
          connection.OnHeadersEnd(id, *stream);
        }
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
          connection.OnRequestEnd(id, *stream);
        }
        return 0;
      });
  nghttp2_session_callbacks_set_on_frame_send_callback(
      callbacks, [](nghttp2_session* session, const nghttp2_frame* frame, void* user) {
        auto& connection = *static_cast<Connection*>(user);
        if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
            (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
          return 0;
        }
        const Stream* const stream = connection.Find(frame->hd.stream_id);
        // The answer is out before the request is in: the rest of it is not wanted.
        if (stream != nullptr && !stream->request_ended) {
          nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                    NGHTTP2_NO_ERROR);
        }
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
        static_cast<Connection*>(user)->OnClose(id);
        return 0;
      });
}

bool Front::Connection::Begin() {
  const auto most_header_bytes = static_cast<std::uint32_t>(shared_.options.max_header_bytes);
  const std::array settings = {
      nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                             shared_.options.max_connection_calls},
      nghttp2_settings_entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
      nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, most_header_bytes}};
  if (nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, settings.data(),
                              settings.size()) != 0 ||
      nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, 0,
                                            kConnectionWindow) != 0) {
    return false;
  }
  return Flush();
}

bool Front::Connection::Read(std::string& scratch) {
  for (int i = 0; i < kReadsInARow; ++i) {
    const ssize_t got = ::recv(file_, scratch.data(), scratch.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (got <= 0) return false;
    last_read_ = loop_.now();
    pinged_ = false;
    const bool fine = filter_.Pass(std::string_view(scratch.data(), static_cast<std::size_t>(got)),
                                   [this](std::string_view bytes) {
                                     return nghttp2_session_mem_recv(
                                                session_.get(),
                                                reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                                bytes.size()) >= 0;
                                   });
    loop_.Touch(*this);
    if (!fine) {
      // What is wrong with it has been submitted for the client to read.
      Flush();
      return false;
    }
    if (static_cast<std::size_t>(got) < scratch.size()) break;
  }
  return true;
}

bool Front::Connection::Flush() {
  while (!blocked_) {
    while (out_.size() < kSendBytes) {
      const std::uint8_t* data = nullptr;
      const ssize_t size = nghttp2_session_mem_send(session_.get(), &data);
      if (size < 0) return false;
      if (size == 0) break;
      out_.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
    }
    if (out_.empty()) break;
    const ssize_t sent =
        ::send(file_, out_.data() + out_done_, out_.size() - out_done_, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return false;
    if (sent < 0) {
      blocked_ = true;
      last_progress_ = loop_.now();
      loop_.Await(*this, true);
      break;
    }
    out_done_ += static_cast<std::size_t>(sent);
    if (out_done_ < out_.size()) continue;
    out_.clear();
    out_done_ = 0;
    if (out_.capacity() > kKeptBytes) out_ = std::string();
  }
  return blocked_ || nghttp2_session_want_read(session_.get()) != 0 ||
         nghttp2_session_want_write(session_.get()) != 0;
}

bool Front::Connection::Tick(Clock::time_point now) {
  const auto& options = shared_.options;
  if (blocked_ && now - last_progress_ > options.ping_after + options.ping_timeout) return false;
  const auto quiet = now - last_read_;
  if (quiet > options.ping_after + options.ping_timeout) return false;
  if (quiet > options.ping_after && !std::exchange(pinged_, true)) {
    nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);
    loop_.Touch(*this);
  }
  return true;
}

void Front::Connection::GoAway(bool last) {
  if (last) {
    nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session_.get()), NGHTTP2_NO_ERROR,
                          nullptr, 0);
  } else {
    nghttp2_submit_shutdown_notice(session_.get());
  }
  loop_.Touch(*this);
}

int Front::Connection::OnBeginHeaders(std::int32_t id) {
  auto stream = std::make_unique<Stream>();
  nghttp2_session_set_stream_user_data(session_.get(), id, stream.get());
  streams_.emplace(id, std::move(stream));
  return 0;
}

int Front::Connection::OnHeader(Stream& stream, std::string_view name, std::string_view value) {
  stream.header_bytes += name.size() + value.size() + 32;
  if (stream.header_bytes > shared_.options.max_header_bytes) return 0;  // Refused at their end.
  if (name == ":path") {
    stream.path = value;
    stream.direct = shared_.Find(value);
  } else if (name == ":method") {
    stream.method = value;
  } else if (name == "content-type") {
    stream.content_type = value;
  } else if (name == "grpc-encoding") {
    stream.coding = value;
  } else if (name == "grpc-timeout") {
    if (const auto timeout = ParseGrpcTimeout(value)) {
      stream.deadline = std::chrono::system_clock::now() +
                        std::chrono::duration_cast<std::chrono::system_clock::duration>(*timeout);
    }
  } else if (!IsReservedHeader(name)) {
    if (stream.wrong_header.empty() && !IsMetadata(name, value)) stream.wrong_header = name;
    stream.headers.emplace_back(name, value);
  }
  return 0;
}

void Front::Connection::OnHeadersEnd(std::int32_t id, Stream& stream) {
  if (stream.header_bytes > shared_.options.max_header_bytes) {
    return End(
        id, stream,
        {grpc::StatusCode::RESOURCE_EXHAUSTED,
         "metadata of more than " + std::to_string(shared_.options.max_header_bytes) + " bytes"});
  }
  if (stream.method != "POST") return RefuseHttp(id, stream, "405");
  if (!stream.content_type.starts_with("application/grpc")) return RefuseHttp(id, stream, "415");
  if (!stream.wrong_header.empty()) {
    return End(
        id, stream,
        {grpc::StatusCode::INVALID_ARGUMENT,
         "metadata \"" + stream.wrong_header.substr(0, 80) +
             "\" must be a name of small letters, digits, -, _ and . with printable ASCII, or "
             "base64 after a name in -bin"});
  }
  if (!IsKnownCoding(stream.coding)) {
    return End(
        id, stream,
        {grpc::StatusCode::UNIMPLEMENTED, "messages packed as \"" + stream.coding.substr(0, 40) +
                                              "\" are not read, only gzip and deflate"});
  }
  stream.reader.emplace(shared_.options.max_message_bytes,
                        stream.direct != nullptr ? stream.direct->align_at : nullptr);
  if (stream.direct == nullptr) {
    stream.relay = Relay::Start(shared_.others, stream.path, stream.headers, stream.deadline,
                                {loop_.mailbox(), id_, id, Load::Enter(shared_.load)});
  }
}

void Front::Connection::Account(Stream& stream, std::size_t bytes) {
  auto& sum = shared_.load->buffered_bytes;
  if (bytes >= stream.accounted) {
    sum.fetch_add(bytes - stream.accounted, std::memory_order_relaxed);
  } else {
    sum.fetch_sub(stream.accounted - bytes, std::memory_order_relaxed);
  }
  stream.accounted = bytes;
}

void Front::Connection::OnData(std::int32_t id, Stream& stream, std::string_view data) {
  const std::size_t size = data.size();
  nghttp2_session_consume_connection(session_.get(), size);
  while (!data.empty() && stream.reader) {
    if (stream.message) {
      End(id, stream,
          {grpc::StatusCode::INTERNAL, "one message is asked for, and more than one came"});
      break;
    }
    const grpc::Status read = stream.reader->Read(data);
    if (!read.ok()) {
      End(id, stream, read);
      break;
    }
    Account(stream, stream.reader->held());
    if (shared_.load->buffered_bytes.load(std::memory_order_relaxed) >
        shared_.options.max_buffered_bytes) {
      End(id, stream,
          {grpc::StatusCode::RESOURCE_EXHAUSTED,
           "too many requests are being read; try again later"});
      break;
    }
    if (stream.reader->complete()) OnMessage(id, stream);
  }
  if (stream.waiting >= kMostWaiting) {
    stream.withheld += size;
  } else {
    nghttp2_session_consume_stream(session_.get(), id, size);
  }
}

void Front::Connection::OnMessage(std::int32_t id, Stream& stream) {
  auto message = stream.reader->Take(stream.coding);
  if (!message) return End(id, stream, ToGrpcStatus(message.error()));
  if (stream.direct != nullptr) {
    stream.message = *std::move(message);
    Account(stream, stream.message->size());
    return;
  }
  Account(stream, 0);
  ++stream.waiting;
  auto* const kept = new Passed(*std::move(message), shared_.load);
  const std::string_view bytes = kept->message.view();
  const grpc::Slice slice(
      const_cast<char*>(bytes.data()), bytes.size(),
      [](void* owned) { delete static_cast<Passed*>(owned); }, kept);
  stream.relay->Send(grpc::ByteBuffer(&slice, 1));
}

void Front::Connection::OnRequestEnd(std::int32_t id, Stream& stream) {
  stream.request_ended = true;
  if (!stream.reader) return;
  if (stream.reader->within()) {
    return End(id, stream, {grpc::StatusCode::INTERNAL, "the last message is cut short"});
  }
  if (stream.relay) return stream.relay->SendDone();
  if (!stream.message) {
    return End(id, stream, {grpc::StatusCode::INTERNAL, "one message is asked for, none came"});
  }
  HandOver(id, stream);
}

void Front::Connection::HandOver(std::int32_t id, Stream& stream) {
  Account(stream, 0);
  stream.reader.reset();
  auto call = std::make_shared<Call>(*stream.direct, shared_.observer, *std::move(stream.message),
                                     std::move(stream.headers), stream.deadline, loop_.mailbox(),
                                     id_, id, shared_.load);
  stream.message.reset();
  stream.call = call;
  loop_.Arrived(std::move(call));
}

void Front::Connection::OnClose(std::int32_t id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  Stream& stream = *found->second;
  Account(stream, 0);
  if (const auto call = stream.call.lock()) call->SetCancelled();
  if (stream.relay) stream.relay->Cancel();
  streams_.erase(found);
}

void Front::Connection::Take(FrontLetter letter) {
  Stream* const stream = Find(letter.stream);
  if (stream == nullptr) return;
  loop_.Touch(*this);
  switch (letter.kind) {
    case Kind::kAnswer:
      if (stream->ending) return;
      stream->ending = true;
      return Submit(letter.stream, *stream, std::move(letter.message));
    case Kind::kHeaders:
      if (!stream->answering) SubmitHeaders(letter.stream, *stream, letter.headers);
      return;
    case Kind::kMessage: {
      grpc::Slice slice;
      std::vector<grpc::Slice> several;
      MessageParts message;
      if (letter.buffer.TrySingleSlice(&slice).ok()) {
        several.push_back(slice);
      } else if (!letter.buffer.Dump(&several).ok()) {
        return End(letter.stream, *stream, {grpc::StatusCode::INTERNAL, "internal error"});
      }
      for (const grpc::Slice& each : several) {
        auto owner = std::make_shared<grpc::Slice>(each);
        const std::string_view bytes = View(owner->begin(), owner->size());
        message.parts.push_back({.size = bytes.size(), .data = bytes, .owner = std::move(owner)});
      }
      return Submit(letter.stream, *stream, std::move(message));
    }
    case Kind::kWritten:
      --stream->waiting;
      if (stream->withheld > 0) {
        nghttp2_session_consume_stream(session_.get(), letter.stream,
                                       std::exchange(stream->withheld, 0));
      }
      return;
    case Kind::kEnd:
      stream->trailers = std::move(letter.headers);
      return End(letter.stream, *stream, letter.status);
    case Kind::kAccepted:
      return;
  }
}

void Front::Connection::SubmitHeaders(std::int32_t id, Stream& stream, const HeaderList& headers) {
  std::vector<nghttp2_nv> fields = {Field(":status", "200"),
                                    Field("content-type", "application/grpc"),
                                    Field("grpc-accept-encoding", "identity, deflate, gzip")};
  for (const auto& [name, value] : headers) fields.push_back(Field(name, value));
  nghttp2_data_provider provider{};
  provider.read_callback = [](nghttp2_session* /*session*/, std::int32_t of, std::uint8_t* to,
                              std::size_t room, std::uint32_t* flags, nghttp2_data_source* source,
                              void* user) {
    return static_cast<Connection*>(user)->ReadAnswer(of, *static_cast<Stream*>(source->ptr), to,
                                                      room, flags);
  };
  provider.source.ptr = &stream;
  stream.answering = true;
  nghttp2_submit_response(session_.get(), id, fields.data(), fields.size(), &provider);
}

void Front::Connection::Submit(std::int32_t id, Stream& stream, MessageParts message) {
  stream.out.push_back(std::move(message));
  if (!stream.answering) {
    SubmitHeaders(id, stream, {});
  } else {
    Resume(id, stream);
  }
}

void Front::Connection::Resume(std::int32_t id, Stream& stream) {
  if (std::exchange(stream.deferred, false)) nghttp2_session_resume_data(session_.get(), id);
}

// Makes the prefix of the message in turn. False: there is none.
bool Front::Connection::FillPrefix(Stream& stream) {
  if (stream.out.empty()) return false;
  const auto size = static_cast<std::uint32_t>(stream.out.front().size());
  stream.prefix = {0, static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                   static_cast<char>(size >> 8), static_cast<char>(size)};
  stream.within = true;
  stream.prefix_done = 0;
  stream.part = 0;
  stream.part_done = 0;
  return true;
}

ssize_t Front::Connection::ReadAnswer(std::int32_t id, Stream& stream, std::uint8_t* to,
                                      std::size_t room, std::uint32_t* flags) {
  std::size_t done = 0;
  const auto put = [&](std::string_view bytes) {
    const std::size_t take = std::min(bytes.size(), room - done);
    std::memcpy(to + done, bytes.data(), take);
    done += take;
    return take;
  };
  while (done < room) {
    if (!stream.within && !FillPrefix(stream)) break;
    if (stream.prefix_done < stream.prefix.size()) {
      stream.prefix_done += put(
          std::string_view(stream.prefix.data(), stream.prefix.size()).substr(stream.prefix_done));
    }
    const MessageParts& message = stream.out.front();
    while (stream.prefix_done == stream.prefix.size() && done < room &&
           stream.part < message.parts.size()) {
      const MessageParts::Part& part = message.parts[stream.part];
      const std::string_view bytes =
          part.data.empty() ? std::string_view(message.text).substr(part.at, part.size) : part.data;
      stream.part_done += put(bytes.substr(stream.part_done));
      if (stream.part_done < bytes.size()) break;
      ++stream.part;
      stream.part_done = 0;
    }
    if (stream.prefix_done == stream.prefix.size() && stream.part == message.parts.size()) {
      stream.out.pop_front();
      stream.within = false;
      if (stream.relay) stream.relay->ReadNext();
    }
  }
  if (!stream.out.empty()) return static_cast<ssize_t>(done);
  if (stream.ending) {
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    SubmitTrailers(id, stream);
    return static_cast<ssize_t>(done);
  }
  if (done > 0) return static_cast<ssize_t>(done);
  stream.deferred = true;
  return NGHTTP2_ERR_DEFERRED;
}

void Front::Connection::SubmitTrailers(std::int32_t id, Stream& stream) {
  const std::string code = std::to_string(static_cast<int>(stream.status.error_code()));
  const std::string words = PercentEncoded(stream.status.error_message());
  std::vector<nghttp2_nv> fields = {Field("grpc-status", code)};
  if (!words.empty()) fields.push_back(Field("grpc-message", words, false));
  for (const auto& [name, value] : stream.trailers) fields.push_back(Field(name, value));
  nghttp2_submit_trailer(session_.get(), id, fields.data(), fields.size());
}

void Front::Connection::End(std::int32_t id, Stream& stream, const grpc::Status& status) {
  if (std::exchange(stream.ending, true)) return;
  stream.reader.reset();
  stream.message.reset();
  Account(stream, 0);
  stream.status = status;
  loop_.Touch(*this);
  if (stream.answering) return Resume(id, stream);
  // All in one block of headers.
  const std::string code = std::to_string(static_cast<int>(status.error_code()));
  const std::string words = PercentEncoded(status.error_message());
  std::vector<nghttp2_nv> fields = {
      Field(":status", "200"), Field("content-type", "application/grpc"),
      Field("grpc-accept-encoding", "identity, deflate, gzip"), Field("grpc-status", code)};
  if (!words.empty()) fields.push_back(Field("grpc-message", words, false));
  for (const auto& [name, value] : stream.trailers) fields.push_back(Field(name, value));
  stream.answering = true;
  nghttp2_submit_response(session_.get(), id, fields.data(), fields.size(), nullptr);
}

void Front::Connection::RefuseHttp(std::int32_t id, Stream& stream, const char* status) {
  stream.ending = true;
  stream.answering = true;
  const std::array fields = {Field(":status", status)};
  nghttp2_submit_response(session_.get(), id, fields.data(), fields.size(), nullptr);
  loop_.Touch(*this);
}

int Front::Loop::Timeout() const {
  if (shared_.stopping) return static_cast<int>(kStopTick.count());
  return connections_.empty() && !accept_paused_ ? -1 : static_cast<int>(kTick.count());
}

void Front::Loop::Run() {
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

void Front::Loop::OnEvent(const epoll_event& event) {
  const std::uint64_t id = event.data.u64;
  if (id == kEvent) return mailbox_->Quiet();
  if (id < kFirstConnection) return Accept(shared_.listeners[id - 1]);
  Connection* const connection = Find(id);
  if (connection == nullptr) return;
  if ((event.events & EPOLLOUT) != 0 && connection->blocked()) {
    connection->Unblock();
    Await(*connection, false);
    Touch(*connection);
  }
  const bool broken = (event.events & (EPOLLERR | EPOLLHUP)) != 0;
  if (broken || ((event.events & EPOLLIN) != 0 && !connection->Read(scratch_))) Drop(id);
}

void Front::Loop::Accept(int listener) {
  for (int i = 0; i < 64; ++i) {
    const int file = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (file < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // The listener stays readable: without a pause this thread would spin.
        IgnoreListeners();
        accept_paused_ = true;
      }
      return;
    }
    FrontLetter letter;
    letter.kind = Kind::kAccepted;
    letter.file = file;
    all_[shared_.next_loop++ % all_.size()]->mailbox_->Put(std::move(letter));
  }
}

void Front::Loop::Add(int file) {
  if (shared_.stopping) return CloseFile(file);
  const int on = 1;
  ::setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto connection = std::make_unique<Connection>(*this, shared_, file, next_id_++);
  Watch(file, connection->id());
  if (connection->Begin()) connections_.emplace(connection->id(), std::move(connection));
}

void Front::Loop::ReadLetters() {
  letters_.clear();
  mailbox_->Take(&letters_);
  for (FrontLetter& letter : letters_) Deliver(std::move(letter));
  letters_.clear();
}

void Front::Loop::ReadLocal() {
  while (!mailbox_->local().empty()) {
    local_.clear();
    local_.swap(mailbox_->local());
    for (FrontLetter& letter : local_) Deliver(std::move(letter));
    local_.clear();
  }
}

void Front::Loop::Deliver(FrontLetter letter) {
  if (letter.kind == Kind::kAccepted) return Add(letter.file);
  if (Connection* const connection = Find(letter.connection)) connection->Take(std::move(letter));
}

void Front::Loop::HandleArrived() {
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

void Front::Loop::FlushDirty() {
  if (dirty_.empty()) return;
  flushed_.clear();
  flushed_.swap(dirty_);
  for (const std::uint64_t id : flushed_) {
    Connection* const connection = Find(id);
    if (connection == nullptr) continue;
    connection->dirty = false;
    if (!connection->Flush()) Drop(id);
  }
}

bool Front::Loop::StopStep() {
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

void Front::Loop::Tick() {
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

Front::Front() = default;

Result<std::unique_ptr<Front>> Front::Start(const FrontOptions& options,
                                            const std::vector<DirectMethod>& methods,
                                            DirectObserver& observer,
                                            std::shared_ptr<grpc::Channel> others) {
  std::unique_ptr<Front> front(new Front());
  front->shared_ = std::make_unique<Shared>(options, methods, observer, std::move(others));
  Shared& shared = *front->shared_;
  Connection::SetCallbacks(shared.callbacks);
  for (const std::string& address : options.listen) {
    const auto listener = Listen(address);
    if (!listener) return listener.error();
    shared.listeners.push_back(listener->first);
    front->addresses_.push_back(listener->second);
  }
  // The first accepts for all.
  for (std::size_t i = 0; i < std::max<std::size_t>(options.threads, 1); ++i) {
    front->loops_.push_back(std::make_unique<Loop>(shared, front->loops_, i == 0));
  }
  for (const auto& loop : front->loops_) loop->Begin();
  return front;
}

Front::~Front() { Shutdown(); }

void Front::Shutdown() {
  if (shared_ == nullptr || shared_->stopping.exchange(true)) return;
  for (const auto& loop : loops_) loop->Wake();
  for (const auto& loop : loops_) loop->Join();
  // Handlers may still be at work on calls that nobody waits for any more. A relayed one must not
  // be the last that holds the channel: its end comes on a thread that the channel's end waits for.
  shared_->load->WaitUntilLeft();
  for (const std::string& address : addresses_) {
    if (address.starts_with("unix:")) ::unlink(address.substr(5).c_str());
  }
}

}  // namespace tidewheel::rpc
