#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/cli/demo/story.h"
#include "tidewheel/cli/output/progress_bar.h"
#include "tidewheel/inference/v1/inference_service.grpc.pb.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"
#include "tidewheel/training/v1/training_service.grpc.pb.h"

namespace tidewheel::cli::demo {
namespace {

namespace v1 = inference::v1;

constexpr std::size_t kOutstanding = 4;
constexpr std::chrono::seconds kPredictLimit{10};
constexpr std::chrono::seconds kMonitoringLimit{60};
constexpr int kOutcomeBatch = 500;

struct Answer {
  std::string request_id;
  std::size_t picture = 0;  // Place among the test pictures.
  std::string class_name;
  std::vector<float> probabilities;
  double seconds = 0;
};

/// Asks for all predictions, a few at a time.
class Asker {
 public:
  Asker(Story& story, std::shared_ptr<grpc::Channel> channel)
      : story_(story),
        channel_(std::move(channel)),
        prefix_("demo-" + NewUuid() + "-"),
        answers_(story.predictions),
        bar_("predict") {}

  Result<std::vector<Answer>> Ask() {
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < kOutstanding; ++i) threads.emplace_back([this] { Work(); });
    }
    if (failure_) return *failure_;
    return std::move(answers_);
  }

 private:
  void Work() {
    v1::InferenceService::Stub stub(channel_);
    for (std::size_t i = next_++; i < answers_.size(); i = next_++) {
      if (auto asked = AskOne(stub, i); !asked) {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = asked.error();
        next_ = answers_.size();
        return;
      }
      bar_.Show(i, answers_.size());
    }
  }

  Result<void> AskOne(v1::InferenceService::Stub& stub, std::size_t i) {
    Answer& answer = answers_[i];
    answer.request_id = prefix_ + std::to_string(i);
    answer.picture = i % story_.test_pictures.size();
    v1::PredictRequest request;
    request.set_task(story_.task.name());
    request.set_request_id(answer.request_id);
    request.mutable_pictures()->add_payloads(story_.test_pictures[answer.picture].payload);
    rpc::ClientContextWithDeadline context(kPredictLimit);
    v1::PredictResponse response;
    const auto started = std::chrono::steady_clock::now();
    const auto status = stub.Predict(&context, request, &response);
    answer.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    if (auto answered = rpc::FromGrpcStatus(status, "inference"); !answered) return answered;
    if (response.predictions_size() != 1) {
      return Error{ErrorCode::kInternal, "inference: one picture, " +
                                             std::to_string(response.predictions_size()) +
                                             " predictions"};
    }
    answer.class_name = response.predictions(0).class_name();
    answer.probabilities.assign(response.predictions(0).probabilities().begin(),
                                response.predictions(0).probabilities().end());
    return {};
  }

  Story& story_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::string prefix_;
  std::vector<Answer> answers_;
  ProgressBar bar_;
  std::atomic<std::size_t> next_ = 0;
  std::mutex mutex_;  // Guards failure_.
  std::optional<Error> failure_;
};

double Percentile(const std::vector<double>& sorted, double share) {
  const auto place =
      static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(place, 1, sorted.size()) - 1];
}

Result<void> SendOutcomes(Story& story, const std::vector<Answer>& answers) {
  v1::RecordOutcomesRequest request;
  const auto send = [&]() -> Result<void> {
    const auto recorded = story.platform.Call(&v1::InferenceService::Stub::RecordOutcomes, request);
    if (!recorded) return recorded.error();
    request.clear_outcomes();
    return {};
  };
  request.set_task(story.task.name());
  for (const Answer& answer : answers) {
    v1::Outcome& outcome = *request.add_outcomes();
    outcome.set_request_id(answer.request_id);
    outcome.set_class_name(story.ClassName(story.test_pictures[answer.picture].sample.class_index));
    outcome.set_source("demo");
    if (request.outcomes_size() < kOutcomeBatch) continue;
    if (auto sent = send(); !sent) return sent;
  }
  return request.outcomes_size() == 0 ? Result<void>() : send();
}

/// What monitoring has seen of the promoted version; all zero when nothing.
Result<monitoring::v1::ModelSummary> Summary(Story& story) {
  monitoring::v1::ListModelSummariesRequest request;
  request.set_task(story.task.name());
  const auto listed = story.platform.CallList(
      &monitoring::v1::MonitoringService::Stub::ListModelSummaries, request, 0);
  if (!listed) return listed.error();
  for (const auto& summary : listed->summaries()) {
    if (summary.model_version_id() == story.promoted.model_version_id()) return summary;
  }
  return monitoring::v1::ModelSummary();
}

Result<monitoring::v1::ModelSummary> WaitForMonitoring(Story& story, std::uint64_t before) {
  const auto deadline = std::chrono::steady_clock::now() + kMonitoringLimit;
  while (true) {
    auto summary = Summary(story);
    if (!summary) return summary;
    if (summary->outcomes() >= before + story.predictions) return summary;
    if (std::chrono::steady_clock::now() > deadline) {
      return Error{ErrorCode::kDeadlineExceeded,
                   "monitoring has " + std::to_string(summary->predictions()) +
                       " predictions and " + std::to_string(summary->outcomes()) +
                       " outcomes of model version " + story.promoted.model_version_id() +
                       ", expected are " + std::to_string(before + story.predictions)};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

/// How many of the test pictures were answered as the run's evaluation had it, and the largest
/// difference of a probability.
struct Agreement {
  std::uint64_t pictures = 0;
  std::uint64_t same_class = 0;
  double largest_difference = 0;
};

Result<Agreement> CompareWithEvaluation(Story& story, const std::vector<Answer>& answers) {
  std::unordered_map<std::string, const Answer*> by_sample;
  for (const Answer& answer : answers) {
    by_sample.emplace(story.test_pictures[answer.picture].sample.sample_id, &answer);
  }
  Agreement agreement;
  training::v1::ListRunPredictionsRequest request;
  request.set_run_id(story.promoted.run_id());
  request.set_split("test");
  request.set_page_size(1'000);
  while (true) {
    const auto page =
        story.platform.Call(&training::v1::TrainingService::Stub::ListRunPredictions, request);
    if (!page) return page.error();
    for (const auto& stored : page->predictions()) {
      const auto found = by_sample.find(stored.sample_id());
      if (found == by_sample.end()) continue;
      ++agreement.pictures;
      if (stored.predicted_class() == found->second->class_name) ++agreement.same_class;
      const auto& served = found->second->probabilities;
      for (std::size_t i = 0; i < served.size(); ++i) {
        const float other = stored.probabilities(static_cast<int>(i));
        agreement.largest_difference = std::max(agreement.largest_difference,
                                                std::abs(static_cast<double>(served[i] - other)));
      }
    }
    if (page->next_page_token().empty()) return agreement;
    request.set_page_token(page->next_page_token());
  }
}

}  // namespace

Result<void> PredictPictures(Story& story) {
  story.account.Title("Predict");
  if (story.test_pictures.empty()) {
    return Error{ErrorCode::kFailedPrecondition, "no test picture was accepted"};
  }
  const auto channel = story.platform.ChannelTo("inference");
  if (!channel) return channel.error();
  const auto before = Summary(story);
  if (!before) return before.error();

  const StageTimer timer("predict");
  const auto answers = Asker(story, *channel).Ask();
  if (!answers) return answers.error();
  const double seconds = timer.Finish(
      story.report, story.predictions,
      "predictions, " + std::to_string(kOutstanding) + " outstanding, outcomes not included,");
  if (auto sent = SendOutcomes(story, *answers); !sent) return sent;
  const auto summary = WaitForMonitoring(story, before->outcomes());
  if (!summary) return summary.error();
  const auto agreement = CompareWithEvaluation(story, *answers);
  if (!agreement) return agreement.error();

  std::vector<double> latencies;
  std::uint64_t right = 0;
  for (const Answer& answer : *answers) {
    latencies.push_back(answer.seconds);
    const auto& truth = story.test_pictures[answer.picture].sample;
    if (answer.class_name == story.ClassName(truth.class_index)) ++right;
  }
  std::sort(latencies.begin(), latencies.end());
  const double p50 = Percentile(latencies, 0.50);
  const double p99 = Percentile(latencies, 0.99);
  const std::string how = "of " + std::to_string(latencies.size()) +
                          " predictions of one encoded picture over gRPC, " +
                          std::to_string(kOutstanding) +
                          " outstanding, measured by the client beside the running platform";
  story.report.Set("demo.predict.p50", p50, "seconds", how);
  story.report.Set("demo.predict.p99", p99, "seconds", how);
  story.report.Set("demo.predict.accuracy",
                   static_cast<double>(right) / static_cast<double>(answers->size()), "ratio",
                   "share of the predictions that are the picture's given class");
  story.report.Set("demo.predict.largest_difference", agreement->largest_difference, "1",
                   "largest difference of a probability between serving and the run's evaluation, "
                   "over " +
                       std::to_string(agreement->pictures) + " pictures");
  story.report.Set("demo.monitoring.accuracy", summary->accuracy(), "ratio",
                   "as monitoring has it, from stored predictions and outcomes");

  story.account.Say(
      FormatCount(story.predictions) + " predictions of encoded test pictures in " +
      FormatSeconds(seconds) + ": half within " + FormatSeconds(p50) + ", 99 % within " +
      FormatSeconds(p99) + ", " +
      FormatCount(static_cast<std::uint64_t>(story.predictions / std::max(seconds, 1e-9))) +
      " a second");
  story.account.Say(
      "right: " + FormatPercent(static_cast<double>(right) / static_cast<double>(answers->size())) +
      "; as monitoring sees it, from " + FormatCount(summary->outcomes()) +
      " outcomes: " + FormatPercent(summary->accuracy()));
  story.account.Say("serving and the run's evaluation gave the same class on " +
                    FormatCount(agreement->same_class) + " of " + FormatCount(agreement->pictures) +
                    " pictures");
  story.traced_request_id = answers->front().request_id;
  return {};
}

}  // namespace tidewheel::cli::demo
