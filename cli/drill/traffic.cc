#include "tidewheel/cli/drill/traffic.h"

#include <algorithm>

namespace tidewheel::cli::drill {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kRepeatPause{100};
constexpr std::uint64_t kVehicles = 1'000;

bool IsOutage(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ||
         status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED ||
         status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED ||
         status.error_code() == grpc::StatusCode::CANCELLED;
}

}  // namespace

/// One request under way, or waiting to be sent again.
struct Traffic::Call {
  std::uint64_t number = 0;
  Clock::time_point give_up;
  Clock::time_point due;
  inference::v1::PredictRequest request;
  inference::v1::PredictResponse response;
  std::optional<rpc::ClientContextWithDeadline> context;
};

std::string CameraName(std::uint64_t camera) { return "camera-" + std::to_string(camera + 1); }

Traffic::Traffic(std::shared_ptr<grpc::Channel> channel, Options options, Scene scene,
                 OutcomeSender& outcomes)
    : options_(std::move(options)),
      stub_(inference::v1::InferenceService::NewStub(std::move(channel))),
      outcomes_(outcomes),
      scene_(std::move(scene)),
      rate_(options_.rate),
      worker_([this](std::stop_token stop) { Work(stop); }) {}

Traffic::~Traffic() { Finish(); }

std::uint64_t Traffic::Change(Scene scene) {
  const std::lock_guard lock(mutex_);
  scene_ = std::move(scene);
  return asked_.size();
}

void Traffic::SetRate(double rate) {
  const std::lock_guard lock(mutex_);
  rate_ = rate;
}

std::uint64_t Traffic::sent() const {
  const std::lock_guard lock(mutex_);
  return asked_.size();
}

std::unique_ptr<Traffic::Call> Traffic::Prepare(std::uint64_t number) {
  Random random(StableHash(IdOf(number).substr(options_.prefix.size()), options_.seed));
  const std::uint64_t camera = random.Below(kCameras);
  const bool broken = scene_.faulty && camera == kFaultyCamera;
  const Pool& pool = broken ? *scene_.faulty : *scene_.pictures;
  const KnownPicture& picture = pool.Draw(random, scene_.class_shares);
  const std::size_t truth =
      scene_.meaning.empty() ? picture.class_index : scene_.meaning[picture.class_index];
  asked_.push_back({truth, -1, 0, random.Uniform() < scene_.outcome_share, false});

  auto call = std::make_unique<Call>();
  call->number = number;
  call->give_up = Clock::now() + options_.retry_for;
  call->request.set_task(options_.task);
  call->request.set_request_id(IdOf(number));
  call->request.set_routing_key("vehicle-" + std::to_string(random.Below(kVehicles)));
  (*call->request.mutable_metadata())["camera"] = CameraName(camera);
  call->request.mutable_pictures()->add_payloads(picture.payload);
  return call;
}

void Traffic::Start(std::unique_ptr<Call> call) {
  // Every attempt is a call of its own.
  call->context.emplace(options_.deadline);
  call->response.Clear();
  Call* const raw = call.release();
  stub_->async()->Predict(&*raw->context, &raw->request, &raw->response,
                          [this, raw](grpc::Status status) { Answered(raw, status); });
}

void Traffic::Answered(Call* raw, const grpc::Status& status) {
  std::unique_ptr<Call> call(raw);
  const std::lock_guard lock(mutex_);
  Asked& asked = asked_[call->number];
  if (status.ok() && call->response.predictions_size() == 1) {
    const std::string& name = call->response.predictions(0).class_name();
    const auto place = std::find(options_.classes.begin(), options_.classes.end(), name);
    asked.answer = static_cast<int>(place - options_.classes.begin());
    const auto& id = call->response.model_version_id();
    const auto version = std::find(versions_.begin(), versions_.end(), id);
    asked.version = static_cast<std::uint32_t>(version - versions_.begin());
    if (version == versions_.end()) versions_.push_back(id);
    if (asked.reports) {
      outcomes_.Add(call->request.request_id(), options_.classes[asked.truth]);
    }
    --under_way_;
  } else if (IsOutage(status) && Clock::now() < call->give_up) {
    ++repeated_;
    call->due = Clock::now() + kRepeatPause;
    again_.push_back(std::move(call));
  } else {
    asked.failed = true;
    ++failed_;
    if (failure_.empty()) {
      failure_ = status.ok() ? "one picture and not one prediction" : status.error_message();
    }
    --under_way_;
  }
  changed_.notify_all();
}

void Traffic::Work(std::stop_token stop) {
  auto next_at = Clock::now();
  std::unique_lock lock(mutex_);
  // Stopped only by Finish, after which what is under way is still waited for.
  while (!(stop.stop_requested() && under_way_ == 0)) {
    const auto now = Clock::now();
    if (!again_.empty() && again_.front()->due <= now) {
      auto call = std::move(again_.front());
      again_.pop_front();
      lock.unlock();
      Start(std::move(call));
      lock.lock();
      continue;
    }
    const bool free = !stop.stop_requested() && under_way_ < options_.outstanding;
    if (free && now >= next_at) {
      auto call = Prepare(asked_.size());
      ++under_way_;
      if (rate_ > 0) {
        next_at +=
            std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / rate_));
        // What an outage held up is not caught up with.
        next_at = std::max(next_at, now - std::chrono::milliseconds(50));
      } else {
        next_at = now;
      }
      lock.unlock();
      Start(std::move(call));
      lock.lock();
      continue;
    }
    auto until = now + std::chrono::milliseconds(100);
    if (free) until = std::min(until, next_at);
    if (!again_.empty()) until = std::min(until, again_.front()->due);
    changed_.wait_until(lock, until);
  }
}

void Traffic::Finish() {
  worker_.request_stop();
  if (worker_.joinable()) worker_.join();
}

Tally Traffic::CountWhere(std::uint64_t first, std::uint64_t end,
                          std::optional<std::uint32_t> version) const {
  Tally tally;
  for (std::uint64_t i = first; i < std::min<std::uint64_t>(end, asked_.size()); ++i) {
    const Asked& asked = asked_[i];
    if (version && (asked.answer < 0 || asked.version != *version)) continue;
    ++tally.asked;
    if (asked.answer < 0) continue;
    ++tally.answered;
    if (static_cast<std::size_t>(asked.answer) == asked.truth) ++tally.right;
  }
  return tally;
}

Tally Traffic::Count(std::uint64_t first, std::uint64_t end) const {
  const std::lock_guard lock(mutex_);
  return CountWhere(first, end, std::nullopt);
}

Tally Traffic::CountOf(std::uint64_t first, std::uint64_t end,
                       const std::string& model_version_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find(versions_.begin(), versions_.end(), model_version_id);
  if (found == versions_.end()) return {};
  return CountWhere(first, end, static_cast<std::uint32_t>(found - versions_.begin()));
}

std::vector<std::string> Traffic::AnsweredIds() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> ids;
  for (std::uint64_t i = 0; i < asked_.size(); ++i) {
    if (asked_[i].answer >= 0) ids.push_back(IdOf(i));
  }
  return ids;
}

std::uint64_t Traffic::failed() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

std::string Traffic::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

std::uint64_t Traffic::repeated() const {
  const std::lock_guard lock(mutex_);
  return repeated_;
}

std::vector<double> Traffic::ShownShares(std::uint64_t first, std::uint64_t end) const {
  const std::lock_guard lock(mutex_);
  std::vector<double> shares(options_.classes.size());
  end = std::min<std::uint64_t>(end, asked_.size());
  for (std::uint64_t i = first; i < end; ++i) {
    shares[asked_[i].truth] += 1.0 / static_cast<double>(end - first);
  }
  return shares;
}

}  // namespace tidewheel::cli::drill
