#include "tidewheel/cli/drill/outcome_sender.h"

#include "tidewheel/base/worker.h"
#include "tidewheel/cli/drill/patience.h"
#include "tidewheel/inference/v1/inference_service.grpc.pb.h"

namespace tidewheel::cli::drill {
namespace {

constexpr std::chrono::milliseconds kPause{100};
constexpr std::size_t kBatch = 500;

}  // namespace

OutcomeSender::OutcomeSender(const Platform::Options& connection, std::string task)
    : platform_(connection),
      task_(std::move(task)),
      worker_([this](std::stop_token stop) { Work(stop); }) {}

OutcomeSender::~OutcomeSender() {
  worker_.request_stop();
  if (worker_.joinable()) worker_.join();
}

void OutcomeSender::Add(std::string request_id, std::string class_name) {
  const std::lock_guard lock(mutex_);
  waiting_.push_back({std::move(request_id), std::move(class_name)});
}

Result<void> OutcomeSender::SendWaiting() {
  while (true) {
    inference::v1::RecordOutcomesRequest request;
    request.set_task(task_);
    std::size_t taken = 0;
    {
      const std::lock_guard lock(mutex_);
      for (; taken < std::min(waiting_.size(), kBatch); ++taken) {
        auto& outcome = *request.add_outcomes();
        outcome.set_request_id(waiting_[taken].request_id);
        outcome.set_class_name(waiting_[taken].class_name);
        outcome.set_source("inspection");
      }
    }
    if (taken == 0) return {};
    const auto recorded =
        PatientCall(platform_, &inference::v1::InferenceService::Stub::RecordOutcomes, request);
    const std::lock_guard lock(mutex_);
    if (!recorded) return recorded.error();
    for (std::size_t i = 0; i < taken; ++i) {
      acknowledged_.push_back(std::move(waiting_[i].request_id));
    }
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(taken));
  }
}

void OutcomeSender::Work(std::stop_token stop) {
  while (!stop.stop_requested()) {
    if (auto sent = SendWaiting(); !sent) {
      const std::lock_guard lock(mutex_);
      failure_ = sent.error();
      return;
    }
    tidewheel::Pause().Wait(stop, kPause);
  }
}

Result<std::vector<std::string>> OutcomeSender::Finish() {
  worker_.request_stop();
  if (worker_.joinable()) worker_.join();
  if (failure_) return Prefixed("outcomes: ", *failure_);
  if (auto sent = SendWaiting(); !sent) return Prefixed("outcomes: ", sent.error());
  return acknowledged_;
}

}  // namespace tidewheel::cli::drill
