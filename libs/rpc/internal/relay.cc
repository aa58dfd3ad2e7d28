#include "tidewheel/rpc/internal/relay.h"

#include <utility>

#include "tidewheel/rpc/internal/wire_text.h"

namespace tidewheel::rpc {
namespace {

template <typename Metadata>
HeaderList Readable(const Metadata& metadata) {
  HeaderList headers;
  for (const auto& [key, value] : metadata) {
    std::string name(key.data(), key.size());
    if (IsReservedHeader(name) && name != "grpc-status-details-bin") continue;
    std::string text(value.data(), value.size());
    if (name.ends_with("-bin")) text = ToBase64(text);
    headers.emplace_back(std::move(name), std::move(text));
  }
  return headers;
}

}  // namespace

std::shared_ptr<Relay> Relay::Start(grpc::GenericStub& stub, const std::string& path,
                                    const HeaderList& headers,
                                    std::optional<std::chrono::system_clock::time_point> deadline,
                                    Target target) {
  std::shared_ptr<Relay> relay(new Relay(std::move(target)));
  relay->self_ = relay;
  for (const auto& [name, text] : headers) {
    if (IsReservedHeader(name)) continue;
    if (!name.ends_with("-bin")) {
      relay->context_.AddMetadata(name, text);
    } else if (auto bytes = FromBase64(text)) {
      relay->context_.AddMetadata(name, *std::move(bytes));
    }
  }
  if (deadline) relay->context_.set_deadline(*deadline);
  stub.PrepareBidiStreamingCall(&relay->context_, path, grpc::StubOptions(), relay.get());
  // Messages are started from outside of its reactions, until the last was read.
  relay->AddHold();
  relay->StartRead(&relay->in_);
  relay->StartCall();
  return relay;
}

FrontLetter Relay::LetterOf(FrontLetter::Kind kind) const {
  FrontLetter letter;
  letter.kind = kind;
  letter.connection = target_.connection;
  letter.stream = target_.stream;
  return letter;
}

void Relay::Send(grpc::ByteBuffer message) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  waiting_.push_back(std::move(message));
  if (std::exchange(writing_, true)) return;
  StartWrite(&waiting_.front());
}

void Relay::SendDone() {
  const std::lock_guard lock(mutex_);
  no_more_ = true;
  if (ended_ || writing_ || std::exchange(writes_done_, true)) return;
  StartWritesDone();
}

void Relay::ReadNext() {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  reading_ = true;
  StartRead(&in_);
}

void Relay::Cancel() {
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    // A message that was read and will not be taken was the last: nobody asks for the next.
    if (!reading_) last = !std::exchange(ended_, true);
  }
  context_.TryCancel();
  if (last) RemoveHold();
}

void Relay::OnReadInitialMetadataDone(bool ok) {
  const std::lock_guard lock(mutex_);
  headers_told_ = true;
  if (ok) {
    FrontLetter letter = LetterOf(FrontLetter::Kind::kHeaders);
    letter.headers = Readable(context_.GetServerInitialMetadata());
    target_.mailbox->Put(std::move(letter));
  }
  if (!std::exchange(message_waits_, false)) return;
  FrontLetter letter = LetterOf(FrontLetter::Kind::kMessage);
  letter.buffer.Swap(&in_);
  target_.mailbox->Put(std::move(letter));
}

void Relay::OnReadDone(bool ok) {
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    reading_ = false;
    if (!ok || cancelled_) {
      last = !std::exchange(ended_, true);
    } else if (!headers_told_) {
      message_waits_ = true;
    } else {
      FrontLetter letter = LetterOf(FrontLetter::Kind::kMessage);
      letter.buffer.Swap(&in_);
      target_.mailbox->Put(std::move(letter));
    }
  }
  if (last) RemoveHold();
}

void Relay::OnWriteDone(bool ok) {
  const std::lock_guard lock(mutex_);
  target_.mailbox->Put(LetterOf(FrontLetter::Kind::kWritten));
  waiting_.pop_front();
  if (!ok) waiting_.clear();  // Its end comes by reading.
  if (!waiting_.empty() && !ended_) {
    StartWrite(&waiting_.front());
    return;
  }
  writing_ = false;
  if (no_more_ && !ended_ && !std::exchange(writes_done_, true)) StartWritesDone();
}

void Relay::OnDone(const grpc::Status& status) {
  FrontLetter letter = LetterOf(FrontLetter::Kind::kEnd);
  letter.status = status;
  letter.headers = Readable(context_.GetServerTrailingMetadata());
  target_.mailbox->Put(std::move(letter));
  const auto last = std::move(self_);  // Gone at the end of this function, if nobody else has it.
}

}  // namespace tidewheel::rpc
