#include "tidewheel/rpc/internal/front_call.h"

#include <utility>

namespace tidewheel::rpc {

FrontCall::FrontCall(const DirectMethod& method, FrontShared& shared, net::AlignedBytes message,
                     HeaderList headers,
                     std::optional<std::chrono::system_clock::time_point> deadline, Target target)
    : method_(method),
      observer_(shared.observer),
      message_(std::move(message)),
      headers_(std::move(headers)),
      deadline_(deadline),
      target_(std::move(target)),
      load_(shared.load),
      held_(message_.size()) {
  load_->buffered_bytes.fetch_add(held_, std::memory_order_relaxed);
  load_->calls.fetch_add(1, std::memory_order_relaxed);
  observer_.Began(method_);
}

FrontCall::~FrontCall() {
  if (!answered_.load(std::memory_order_relaxed)) {
    Refuse({grpc::StatusCode::INTERNAL, "internal error"});
  }
  load_->buffered_bytes.fetch_sub(held_, std::memory_order_relaxed);
  load_->Leave();
}

std::string_view FrontCall::Header(std::string_view key) const {
  for (const auto& [name, value] : headers_) {
    if (name == key) return value;
  }
  return {};
}

void FrontCall::Refuse(const grpc::Status& status) {
  End(status.ok() ? grpc::Status(grpc::StatusCode::INTERNAL, "internal error") : status, {});
}

void FrontCall::End(const grpc::Status& status, MessageParts message) {
  if (answered_.exchange(true)) return;
  observer_.Ended(method_, *this, status, std::chrono::steady_clock::now() - began_);
  FrontLetter letter;
  letter.kind = status.ok() ? FrontLetter::Kind::kAnswer : FrontLetter::Kind::kEnd;
  letter.connection = target_.connection;
  letter.stream = target_.stream;
  letter.status = status;
  letter.message = std::move(message);
  target_.mailbox->Put(std::move(letter));
}

}  // namespace tidewheel::rpc
