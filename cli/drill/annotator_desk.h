#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tidewheel/cli/connection/platform.h"
#include "tidewheel/cli/drill/known_pictures.h"

namespace tidewheel::cli::drill {

/// A simulated person at the labeling queue.
struct DeskPerson {
  std::string name;
  double error = 0;  // Share of wrong votes, the wrong class drawn evenly.
};

/// Simulated people who lease what waits for labels, look at the pictures and vote. What one says
/// of a picture depends on the picture, the name, the error and the seed alone. Thread-safe.
class AnnotatorDesk {
 public:
  struct Options {
    std::string task;
    std::vector<std::string> classes;
    std::uint64_t seed = 1;
    std::vector<DeskPerson> people;
  };

  /// `answers` outlives the desk.
  AnnotatorDesk(const Platform::Options& connection, Options options, const AnswerKey& answers);
  ~AnnotatorDesk();

  /// From the next vote on.
  void SetError(const std::string& name, double error);
  /// (Annotator, sample) of every acknowledged vote.
  std::vector<std::pair<std::string, std::string>> votes() const;
  std::uint64_t vote_count() const;
  /// Why it no longer works; none while it does.
  std::optional<Error> failure() const;
  void Stop();

 private:
  void Work(std::stop_token stop);
  Result<bool> Serve(const DeskPerson& person);

  Platform platform_;  // The worker's.
  const Options options_;
  const AnswerKey& answers_;
  mutable std::mutex mutex_;  // Guards everything below.
  std::vector<DeskPerson> people_;
  std::set<std::pair<std::string, std::string>> votes_;
  std::optional<Error> failure_;
  std::jthread worker_;  // Last: it uses the rest.
};

/// What a person of this error says of a picture of the true class.
std::size_t SaidOf(const DeskPerson& person, std::string_view payload, std::size_t truth,
                   std::size_t classes, std::uint64_t seed);

}  // namespace tidewheel::cli::drill
