#include "tidewheel/rpc/internal/front_connection.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "tidewheel/rpc/internal/message_reader.h"
#include "tidewheel/rpc/internal/message_writer.h"
#include "tidewheel/rpc/internal/relay.h"
#include "tidewheel/rpc/internal/wire_text.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::rpc {
namespace {

using Kind = FrontLetter::Kind;

// What is read from one connection before the others have their turn.
constexpr int kReadsInARow = 4;
// What is kept ready to be sent of one connection.
constexpr std::size_t kSendBytes = 128 * 1'024;
// Memory for what is sent that a connection keeps.
constexpr std::size_t kKeptBytes = 32 * 1'024;
// A client may send so much of one message, and of all its messages, before it is told to go on.
constexpr std::int32_t kStreamWindow = 1 << 20;
constexpr std::int32_t kConnectionWindow = 16 << 20;
// Messages of a stream that wait to be passed on; more are not asked for.
constexpr std::size_t kMostWaiting = 8;

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

/// With which every answer begins.
const std::array kAnswerFields = {Field(":status", "200"),
                                  Field("content-type", "application/grpc"),
                                  Field("grpc-accept-encoding", "identity, deflate, gzip")};

/// A status as it travels.
struct StatusText {
  explicit StatusText(const grpc::Status& status)
      : code(std::to_string(static_cast<int>(status.error_code()))),
        words(PercentEncoded(status.error_message())) {}
  const std::string code;
  const std::string words;
};

/// With which every answer ends. The fields view the text and the trailers.
void AddStatus(const StatusText& text, const HeaderList& trailers,
               std::vector<nghttp2_nv>& fields) {
  fields.push_back(Field("grpc-status", text.code));
  if (!text.words.empty()) fields.push_back(Field("grpc-message", text.words, false));
  for (const auto& [name, value] : trailers) fields.push_back(Field(name, value));
}

/// A message that was passed on: it counts as long as anybody has it.
struct PassedMessage {
  PassedMessage(net::AlignedBytes bytes, std::shared_ptr<FrontLoad> with)
      : message(std::move(bytes)), load(std::move(with)) {
    load->buffered_bytes.fetch_add(message.size(), std::memory_order_relaxed);
  }
  ~PassedMessage() { load->buffered_bytes.fetch_sub(message.size(), std::memory_order_relaxed); }
  PassedMessage(const PassedMessage&) = delete;
  PassedMessage& operator=(const PassedMessage&) = delete;

  const net::AlignedBytes message;
  const std::shared_ptr<FrontLoad> load;
};

}  // namespace

struct FrontConnection::Stream {
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
  std::optional<MessageReader> reader{};       // Until the request is refused.
  std::optional<net::AlignedBytes> message{};  // Of a direct call, read and not handed over yet.
  std::size_t accounted = 0;
  std::size_t withheld = 0;         // Of the window, until messages have been passed on.
  std::size_t waiting = 0;          // Messages a relay was given and has not passed on.
  bool request_ended = false;       // The client has said all it had to say.
  std::weak_ptr<FrontCall> call{};  // Who lets go of it without an answer is found out.
  std::shared_ptr<Relay> relay{};
  // The answer.
  bool answering = false;  // Its headers were submitted.
  bool deferred = false;   // The data waits for more.
  bool ending = false;     // All is there that will be.
  MessageWriter out{};
  grpc::Status status{};
  HeaderList trailers{};
};

FrontConnection::FrontConnection(ConnectionHost& host, FrontShared& shared, net::Socket socket,
                                 std::uint64_t id)
    : host_(host),
      shared_(shared),
      socket_(std::move(socket)),
      id_(id),
      last_heard_(host.now()),
      last_progress_(host.now()) {
  nghttp2_session* session = nullptr;
  nghttp2_session_server_new2(&session, shared.callbacks, this, shared.session_options);
  session_.reset(session);
}

FrontConnection::~FrontConnection() { CancelAll(); }

void FrontConnection::CancelAll() {
  for (const auto& [id, stream] : streams_) {
    Account(*stream, 0);
    if (const auto call = stream->call.lock()) call->SetCancelled();
    if (stream->relay) stream->relay->Cancel();
  }
  streams_.clear();
}

void FrontConnection::SetCallbacks(nghttp2_session_callbacks* callbacks) {
  nghttp2_session_callbacks_set_on_begin_headers_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
        return static_cast<FrontConnection*>(user)->OnBeginHeaders(frame->hd.stream_id);
      });
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                    std::uint8_t, void* user) {
        auto& connection = *static_cast<FrontConnection*>(user);
        Stream* const stream = connection.Find(frame->hd.stream_id);
        if (stream == nullptr || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
        return connection.OnHeader(*stream, View(name, name_size), View(value, value_size));
      });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      callbacks, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                    std::size_t size, void* user) {
        auto& connection = *static_cast<FrontConnection*>(user);
        if (Stream* const stream = connection.Find(id)) {
          connection.OnData(id, *stream, View(data, size));
        } else {
          nghttp2_session_consume_connection(connection.session_.get(), size);
        }
        return 0;
      });
  nghttp2_session_callbacks_set_on_frame_recv_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        auto& connection = *static_cast<FrontConnection*>(user);
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
        auto& connection = *static_cast<FrontConnection*>(user);
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
        static_cast<FrontConnection*>(user)->OnClose(id);
        return 0;
      });
}

bool FrontConnection::Begin() {
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

bool FrontConnection::Read(std::string& scratch) {
  for (int i = 0; i < kReadsInARow; ++i) {
    const ssize_t got = ::recv(socket_.file(), scratch.data(), scratch.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (got <= 0) return false;
    last_heard_ = host_.now();
    pinged_ = false;
    const bool fine = filter_.Pass(std::string_view(scratch.data(), static_cast<std::size_t>(got)),
                                   [this](std::string_view bytes) {
                                     return nghttp2_session_mem_recv(
                                                session_.get(),
                                                reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                                bytes.size()) >= 0;
                                   });
    host_.Touch(*this);
    if (!fine) {
      // What is wrong with it has been submitted for the client to read.
      Flush();
      return false;
    }
    if (static_cast<std::size_t>(got) < scratch.size()) break;
  }
  return true;
}

bool FrontConnection::Flush() {
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
        ::send(socket_.file(), out_.data() + out_done_, out_.size() - out_done_, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return false;
    if (sent < 0) {
      blocked_ = true;
      last_progress_ = host_.now();
      host_.Await(*this, true);
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

bool FrontConnection::Tick(std::chrono::steady_clock::time_point now) {
  const auto& options = shared_.options;
  if (blocked_ && now - last_progress_ > options.ping_after + options.ping_timeout) return false;
  const auto quiet = now - last_heard_;
  if (quiet > options.ping_after + options.ping_timeout) return false;
  if (quiet > options.ping_after && !std::exchange(pinged_, true)) {
    nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);
    host_.Touch(*this);
  }
  return true;
}

void FrontConnection::GoAway(bool last) {
  if (last) {
    nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session_.get()), NGHTTP2_NO_ERROR,
                          nullptr, 0);
  } else {
    nghttp2_submit_shutdown_notice(session_.get());
  }
  host_.Touch(*this);
}

int FrontConnection::OnBeginHeaders(std::int32_t id) {
  auto stream = std::make_unique<Stream>();
  nghttp2_session_set_stream_user_data(session_.get(), id, stream.get());
  streams_.emplace(id, std::move(stream));
  return 0;
}

int FrontConnection::OnHeader(Stream& stream, std::string_view name, std::string_view value) {
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

void FrontConnection::OnHeadersEnd(std::int32_t id, Stream& stream) {
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
                                {host_.mailbox(), id_, id, FrontLoad::Enter(shared_.load)});
  }
}

void FrontConnection::Account(Stream& stream, std::size_t bytes) {
  auto& sum = shared_.load->buffered_bytes;
  if (bytes >= stream.accounted) {
    sum.fetch_add(bytes - stream.accounted, std::memory_order_relaxed);
  } else {
    sum.fetch_sub(stream.accounted - bytes, std::memory_order_relaxed);
  }
  stream.accounted = bytes;
}

void FrontConnection::OnData(std::int32_t id, Stream& stream, std::string_view data) {
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

void FrontConnection::OnMessage(std::int32_t id, Stream& stream) {
  auto message = stream.reader->Take(stream.coding);
  if (!message) return End(id, stream, ToGrpcStatus(message.error()));
  if (stream.direct != nullptr) {
    stream.message = *std::move(message);
    Account(stream, stream.message->size());
    return;
  }
  Account(stream, 0);
  ++stream.waiting;
  auto* const kept = new PassedMessage(*std::move(message), shared_.load);
  const std::string_view bytes = kept->message.view();
  const grpc::Slice slice(
      const_cast<char*>(bytes.data()), bytes.size(),
      [](void* owned) { delete static_cast<PassedMessage*>(owned); }, kept);
  stream.relay->Send(grpc::ByteBuffer(&slice, 1));
}

void FrontConnection::OnRequestEnd(std::int32_t id, Stream& stream) {
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

void FrontConnection::HandOver(std::int32_t id, Stream& stream) {
  Account(stream, 0);
  stream.reader.reset();
  auto call = std::make_shared<FrontCall>(*stream.direct, shared_, *std::move(stream.message),
                                          std::move(stream.headers), stream.deadline,
                                          FrontCall::Target{host_.mailbox(), id_, id});
  stream.message.reset();
  stream.call = call;
  host_.Arrived(std::move(call));
}

void FrontConnection::OnClose(std::int32_t id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  Stream& stream = *found->second;
  Account(stream, 0);
  if (const auto call = stream.call.lock()) call->SetCancelled();
  if (stream.relay) stream.relay->Cancel();
  streams_.erase(found);
}

void FrontConnection::Take(FrontLetter letter) {
  Stream* const stream = Find(letter.stream);
  if (stream == nullptr) return;
  host_.Touch(*this);
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

void FrontConnection::SubmitHeaders(std::int32_t id, Stream& stream, const HeaderList& headers) {
  std::vector<nghttp2_nv> fields(kAnswerFields.begin(), kAnswerFields.end());
  for (const auto& [name, value] : headers) fields.push_back(Field(name, value));
  nghttp2_data_provider provider{};
  provider.read_callback = [](nghttp2_session* /*session*/, std::int32_t of, std::uint8_t* to,
                              std::size_t room, std::uint32_t* flags, nghttp2_data_source* source,
                              void* user) {
    return static_cast<FrontConnection*>(user)->ReadAnswer(of, *static_cast<Stream*>(source->ptr),
                                                           to, room, flags);
  };
  provider.source.ptr = &stream;
  stream.answering = true;
  nghttp2_submit_response(session_.get(), id, fields.data(), fields.size(), &provider);
}

void FrontConnection::Submit(std::int32_t id, Stream& stream, MessageParts message) {
  stream.out.Add(std::move(message));
  if (!stream.answering) {
    SubmitHeaders(id, stream, {});
  } else {
    Resume(id, stream);
  }
}

void FrontConnection::Resume(std::int32_t id, Stream& stream) {
  if (std::exchange(stream.deferred, false)) nghttp2_session_resume_data(session_.get(), id);
}

ssize_t FrontConnection::ReadAnswer(std::int32_t id, Stream& stream, std::uint8_t* to,
                                    std::size_t room, std::uint32_t* flags) {
  const auto written = stream.out.Write(reinterpret_cast<char*>(to), room);
  for (std::size_t i = 0; stream.relay && i < written.messages; ++i) stream.relay->ReadNext();
  if (stream.out.empty() && stream.ending) {
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    SubmitTrailers(id, stream);
    return static_cast<ssize_t>(written.bytes);
  }
  if (written.bytes > 0) return static_cast<ssize_t>(written.bytes);
  stream.deferred = true;
  return NGHTTP2_ERR_DEFERRED;
}

void FrontConnection::SubmitTrailers(std::int32_t id, const Stream& stream) {
  const StatusText text(stream.status);
  std::vector<nghttp2_nv> fields;
  AddStatus(text, stream.trailers, fields);
  nghttp2_submit_trailer(session_.get(), id, fields.data(), fields.size());
}

void FrontConnection::End(std::int32_t id, Stream& stream, const grpc::Status& status) {
  if (std::exchange(stream.ending, true)) return;
  stream.reader.reset();
  stream.message.reset();
  Account(stream, 0);
  stream.status = status;
  host_.Touch(*this);
  if (stream.answering) return Resume(id, stream);
  // All in one block of headers.
  stream.answering = true;
  std::vector<nghttp2_nv> fields(kAnswerFields.begin(), kAnswerFields.end());
  const StatusText text(status);
  AddStatus(text, stream.trailers, fields);
  nghttp2_submit_response(session_.get(), id, fields.data(), fields.size(), nullptr);
}

void FrontConnection::RefuseHttp(std::int32_t id, Stream& stream, const char* status) {
  stream.ending = true;
  stream.answering = true;
  const std::array fields = {Field(":status", status)};
  nghttp2_submit_response(session_.get(), id, fields.data(), fields.size(), nullptr);
  host_.Touch(*this);
}

}  // namespace tidewheel::rpc
