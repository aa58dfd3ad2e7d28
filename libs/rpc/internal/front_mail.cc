#include "tidewheel/rpc/internal/front_mail.h"

#include <sys/eventfd.h>

namespace tidewheel::rpc {
namespace {

thread_local const FrontMailbox* here = nullptr;  // Of the loop whose thread this is.

void CloseAccepted(const std::vector<FrontLetter>& letters) {
  for (const FrontLetter& letter : letters) {
    if (letter.file >= 0) ::close(letter.file);
  }
}

}  // namespace

FrontMailbox::FrontMailbox() : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

FrontMailbox::~FrontMailbox() {
  CloseAccepted(letters_);
  if (event_ >= 0) ::close(event_);
}

void FrontMailbox::Put(FrontLetter letter) {
  if (here == this) {
    local_.push_back(std::move(letter));
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    if (closed_) {
      if (letter.file >= 0) ::close(letter.file);
      return;
    }
    letters_.push_back(std::move(letter));
    some_.store(true);
  }
  if (asleep_.exchange(false)) Wake();
}

void FrontMailbox::Wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t wrote = ::write(event_, &one, sizeof one);
}

void FrontMailbox::MoveHere() { here = this; }

bool FrontMailbox::PrepareToSleep() {
  asleep_.store(true);
  // Whoever put something before this sees nobody asleep; so look once more.
  if (!some_.load()) return true;
  asleep_.store(false);
  return false;
}

void FrontMailbox::Quiet() const {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t read = ::read(event_, &count, sizeof count);
}

void FrontMailbox::Take(std::vector<FrontLetter>* letters) {
  if (!some_.load()) return;
  const std::lock_guard lock(mutex_);
  letters->swap(letters_);
  some_.store(false);
}

void FrontMailbox::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  CloseAccepted(letters_);
  letters_.clear();
}

}  // namespace tidewheel::rpc
