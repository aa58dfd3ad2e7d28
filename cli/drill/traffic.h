#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/cli/connection/platform.h"
#include "tidewheel/cli/drill/known_pictures.h"
#include "tidewheel/cli/drill/outcome_sender.h"
#include "tidewheel/inference/v1/inference_service.grpc.pb.h"

namespace tidewheel::cli::drill {

/// What the clients see for a while. Nothing of it travels but pictures, cameras and outcomes.
struct Scene {
  std::shared_ptr<const Pool> pictures;
  std::vector<double> class_shares;    // Empty: as the pool has them.
  std::shared_ptr<const Pool> faulty;  // What the faulty camera sends; none: all are well.
  std::vector<std::size_t> meaning;    // What a class is called now; empty: what it was.
  double outcome_share = 0;            // Of the answers: those whose truth is sent back.
};

/// The camera that breaks: "camera-3" of four.
inline constexpr std::uint64_t kCameras = 4;
inline constexpr std::uint64_t kFaultyCamera = 2;
std::string CameraName(std::uint64_t camera);

/// Right answers among some requests.
struct Tally {
  std::uint64_t asked = 0;
  std::uint64_t answered = 0;
  std::uint64_t right = 0;
  std::vector<std::uint64_t> wrong_by_class{};  // True classes; filled where pictures are judged.
  double accuracy() const {
    return answered == 0 ? 0 : static_cast<double>(right) / static_cast<double>(answered);
  }
};

/// Clients that ask for predictions all the time, several requests under way, and keep their own
/// account of what was answered. What request N shows depends on N, the scene and the seed alone.
/// A request that meets an outage is sent again under its id. Thread-safe.
class Traffic {
 public:
  struct Options {
    std::string task;
    std::string prefix;  // Of the request ids.
    std::vector<std::string> classes;
    std::uint64_t seed = 1;
    std::size_t outstanding = 8;
    double rate = 0;  // Requests a second; 0: as fast as the answers come.
    std::chrono::milliseconds deadline{10'000};
    std::chrono::seconds retry_for{120};
  };

  Traffic(std::shared_ptr<grpc::Channel> channel, Options options, Scene scene,
          OutcomeSender& outcomes);
  ~Traffic();
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  /// Returns the number of the first request under the new scene.
  std::uint64_t Change(Scene scene);
  void SetRate(double rate);
  std::uint64_t sent() const;
  /// Of requests [first, end), by what is known now.
  Tally Count(std::uint64_t first, std::uint64_t end) const;
  /// The same of what one version answered.
  Tally CountOf(std::uint64_t first, std::uint64_t end, const std::string& model_version_id) const;
  /// Ends once every request is answered or given up.
  void Finish();

  /// Ids of all answered requests; after Finish.
  std::vector<std::string> AnsweredIds() const;
  /// Requests without an answer in the end, and what the first of them was told.
  std::uint64_t failed() const;
  std::string failure() const;
  /// Attempts that met an outage and were repeated.
  std::uint64_t repeated() const;
  /// Classes as they were shown in [first, end), as shares.
  std::vector<double> ShownShares(std::uint64_t first, std::uint64_t end) const;

 private:
  struct Asked {
    std::size_t truth = 0;
    int answer = -1;            // Place of the class; -1: none.
    std::uint32_t version = 0;  // Place in versions_.
    bool reports = false;
    bool failed = false;
  };
  struct Call;

  void Work(std::stop_token stop);
  std::unique_ptr<Call> Prepare(std::uint64_t number);
  void Start(std::unique_ptr<Call> call);
  void Answered(Call* call, const grpc::Status& status);
  std::string IdOf(std::uint64_t number) const { return options_.prefix + std::to_string(number); }
  Tally CountWhere(std::uint64_t first, std::uint64_t end,
                   std::optional<std::uint32_t> version) const;

  const Options options_;
  const std::unique_ptr<inference::v1::InferenceService::Stub> stub_;
  OutcomeSender& outcomes_;

  mutable std::mutex mutex_;  // Guards everything below.
  std::condition_variable_any changed_;
  Scene scene_;
  double rate_;
  std::deque<Asked> asked_;
  std::vector<std::string> versions_;
  std::deque<std::unique_ptr<Call>> again_;  // In the order in which they are due.
  std::size_t under_way_ = 0;
  bool finishing_ = false;
  std::uint64_t failed_ = 0;
  std::uint64_t repeated_ = 0;
  std::string failure_;

  std::jthread worker_;  // Last: it uses the rest.
};

}  // namespace tidewheel::cli::drill
