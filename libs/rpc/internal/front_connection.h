#pragma once

// Inside of this library: one HTTP/2 connection of a front.

#include <nghttp2/nghttp2.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tidewheel/net/socket.h"
#include "tidewheel/rpc/internal/frame_filter.h"
#include "tidewheel/rpc/internal/front_call.h"
#include "tidewheel/rpc/internal/front_letter.h"
#include "tidewheel/rpc/internal/front_shared.h"

namespace tidewheel::rpc {

class FrontConnection;

/// What a connection asks of the thread that it lives on.
class ConnectionHost {
 public:
  virtual ~ConnectionHost() = default;
  /// A direct call is there to be handled.
  virtual void Arrived(std::shared_ptr<FrontCall> call) = 0;
  /// The connection may have something to send.
  virtual void Touch(FrontConnection& connection) = 0;
  /// Waits until it can be written to, or until it can be read.
  virtual void Await(const FrontConnection& connection, bool writable) = 0;
  /// Of this turn of the thread.
  virtual std::chrono::steady_clock::time_point now() const = 0;
  virtual const std::shared_ptr<FrontMailbox>& mailbox() const = 0;
};

/// One HTTP/2 connection. All on its loop's thread.
class FrontConnection {
 public:
  FrontConnection(ConnectionHost& host, FrontShared& shared, net::Socket socket, std::uint64_t id);
  ~FrontConnection();
  FrontConnection(const FrontConnection&) = delete;
  FrontConnection& operator=(const FrontConnection&) = delete;

  std::uint64_t id() const { return id_; }
  int file() const { return socket_.file(); }

  /// These say whether the connection goes on.
  bool Begin();
  bool Read(std::string& scratch);
  bool Flush();

  void Take(FrontLetter letter);
  void GoAway(bool last);
  bool idle() const { return streams_.empty(); }
  bool blocked() const { return blocked_; }
  /// The client has taken bytes: it lives, however long it has said nothing.
  void Unblock() {
    blocked_ = false;
    last_heard_ = host_.now();
  }
  /// False: it lives no more.
  bool Tick(std::chrono::steady_clock::time_point now);

  bool dirty = false;  // In its loop's list of those that may have something to send.

  /// Of all sessions; once, before the first.
  static void SetCallbacks(nghttp2_session_callbacks* callbacks);

 private:
  struct Stream;
  struct FreeSession {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
  };

  Stream* Find(std::int32_t id) const {
    return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session_.get(), id));
  }
  void CancelAll();
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
  void SubmitHeaders(std::int32_t id, Stream& stream, const HeaderList& headers);
  void Submit(std::int32_t id, Stream& stream, MessageParts message);
  void SubmitTrailers(std::int32_t id, const Stream& stream);
  void End(std::int32_t id, Stream& stream, const grpc::Status& status);
  void RefuseHttp(std::int32_t id, Stream& stream, const char* status);
  void Resume(std::int32_t id, Stream& stream);

  ConnectionHost& host_;
  FrontShared& shared_;
  const net::Socket socket_;
  const std::uint64_t id_;
  std::unordered_map<std::int32_t, std::unique_ptr<Stream>> streams_;
  std::unique_ptr<nghttp2_session, FreeSession> session_;
  FrameFilter filter_;
  std::string out_;
  std::size_t out_done_ = 0;
  bool blocked_ = false;
  bool pinged_ = false;
  std::chrono::steady_clock::time_point last_heard_;
  std::chrono::steady_clock::time_point last_progress_;  // Of what is sent, while it is blocked.
};

}  // namespace tidewheel::rpc
