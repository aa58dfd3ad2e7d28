#include <atomic>
#include <mutex>
#include <thread>

#include "tidewheel/cli/drill/patience.h"
#include "tidewheel/cli/drill/story.h"
#include "tidewheel/inference/v1/inference_service.grpc.pb.h"

namespace tidewheel::cli::drill {
namespace {

constexpr std::size_t kThreads = 4;

}  // namespace

Result<Tally> Story::Examine(const std::string& task_name, const Pool& pool,
                             const std::string& prefix) {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;  // Guards tally, failure and examined.
  Tally tally;
  tally.wrong_by_class.resize(classes().size());
  std::optional<Error> failure;
  const auto work = [&] {
    Platform own(connection);
    for (std::size_t i = next++; i < pool.size(); i = next++) {
      const KnownPicture& picture = pool.pictures()[i];
      inference::v1::PredictRequest request;
      request.set_task(task_name);
      request.set_request_id(prefix + std::to_string(i));
      (*request.mutable_metadata())["camera"] = CameraName(i % kCameras);
      request.mutable_pictures()->add_payloads(picture.payload);
      const auto response =
          PatientCall(own, &inference::v1::InferenceService::Stub::Predict, request);
      const std::lock_guard lock(mutex);
      if (!response) {
        failure = response.error();
        return;
      }
      if (task_name == task) examined.push_back(request.request_id());
      ++tally.asked;
      ++tally.answered;
      if (response->predictions_size() == 1 &&
          response->predictions(0).class_name() == classes()[picture.class_index]) {
        ++tally.right;
      } else {
        ++tally.wrong_by_class[picture.class_index];
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) threads.emplace_back(work);
  }
  if (failure) return Prefixed("judging " + task_name + ": ", *failure);
  return tally;
}

}  // namespace tidewheel::cli::drill
