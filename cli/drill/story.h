#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tidewheel/cli/connection/platform.h"
#include "tidewheel/cli/demo/report.h"
#include "tidewheel/cli/drill/annotator_desk.h"
#include "tidewheel/cli/drill/killer.h"
#include "tidewheel/cli/drill/known_pictures.h"
#include "tidewheel/cli/drill/outcome_sender.h"
#include "tidewheel/cli/drill/progress.h"
#include "tidewheel/cli/drill/scenario.h"
#include "tidewheel/cli/drill/traffic.h"
#include "tidewheel/cli/drill/watch.h"
#include "tidewheel/curation/v1/curation_service.pb.h"
#include "tidewheel/ingestion/v1/ingestion_service.pb.h"
#include "tidewheel/labeling/v1/labeling_service.pb.h"
#include "tidewheel/training/v1/training_service.pb.h"

namespace tidewheel::cli::drill {

/// A sample that ingestion took.
struct Stored {
  std::string sample_id;
  ingestion::v1::Split split = ingestion::v1::SPLIT_UNSPECIFIED;
};
using StoredByName = std::unordered_map<std::string, Stored>;

struct GivenVote {
  std::string sample_id;
  std::size_t class_index = 0;
  std::string annotator;
  labeling::v1::AnnotatorKind kind = labeling::v1::ANNOTATOR_KIND_IMPORT;
};

/// All that a scenario works with. For one thread; what runs beside it is thread-safe itself.
class Story {
 public:
  Story(const Options& asked, demo::Report& figures, Progress& told,
        const Platform::Options& reached_by, Collection pictures)
      : options(asked),
        report(figures),
        progress(told),
        connection(reached_by),
        platform(reached_by),
        collection(std::move(pictures)) {}

  /// "drill.rotate.labels".
  std::string Figure(const std::string& name) const {
    return "drill." + Name(options.scenario) + "." + name;
  }
  const std::vector<std::string>& classes() const { return collection.traits.classes; }

  // What the platform is asked for, outages sat out. In first_model.cc.
  Result<void> Apply(const std::string& task_name, bool closes_loop = true);
  Result<StoredByName> Push(const std::string& task_name,
                            const std::vector<const KnownPicture*>& pictures);
  Result<void> Vote(const std::string& task_name, const std::vector<GivenVote>& votes);
  Result<void> ComputeLabels(const std::string& task_name);
  Result<curation::v1::DatasetVersion> BuildDataset(const std::string& task_name);
  Result<training::v1::Run> Train(const std::string& dataset_version_id, std::uint64_t seed,
                                  const std::string& request_id);
  /// Until inference serves it. `override_reason` empty: the gate decides.
  Result<void> Promote(const std::string& task_name, const std::string& model_version_id,
                       const std::string& override_reason);
  Result<void> WaitUntilServed(const std::string& task_name, const std::string& model_version_id);
  /// The version that serves now; empty: none.
  Result<std::string> Serving(const std::string& task_name);

  /// Each picture of the pool once. The requests count as acknowledged ones. In examine.cc.
  Result<Tally> Examine(const std::string& task_name, const Pool& pool, const std::string& prefix);

  /// Task, pictures, labels, a first model, and the pools. In first_model.cc.
  Result<void> MakeFirstModel();
  /// Starts clients, annotators and the watch.
  Result<void> Open(Scene scene, double rate, std::vector<DeskPerson> people);
  /// Until so many requests have been sent.
  Result<void> RunUntil(std::uint64_t sent);
  /// Ends clients and annotators once all is answered.
  Result<void> Close();

  const Options& options;
  demo::Report& report;
  Progress& progress;
  const Platform::Options connection;
  Platform platform;
  const Collection collection;

  std::string task;
  StoredByName stored;
  std::vector<std::string> unlabeled;  // Names; only where a scenario keeps some back.
  AnswerKey answers;
  std::shared_ptr<const Pool> old_traffic;
  std::shared_ptr<const Pool> old_fresh;
  std::shared_ptr<const Pool> new_traffic;  // Of the scenario's condition; may be none.
  std::shared_ptr<const Pool> new_fresh;
  curation::v1::DatasetVersion first_dataset;
  std::string first_version;    // A model version's id.
  std::string harmful_version;  // Learned shuffled labels; kPlanted only.

  std::vector<std::string> examined;  // Ids of acknowledged requests outside of the traffic.
  std::vector<std::string> outcomes;  // Ids of requests whose outcome was acknowledged.
  // Each uses those before it.
  std::unique_ptr<OutcomeSender> outcome_sender;
  std::unique_ptr<Traffic> traffic;
  std::unique_ptr<Watch> watch;
  std::unique_ptr<AnnotatorDesk> desk;
  std::unique_ptr<Killer> killer;
};

/// Tells the scenario and notes its figures.
Result<void> TellScenario(Story& story);
/// Names the scenario's figures with their goals, so that a drill that ends early shows what is
/// missing.
void ExpectFigures(demo::Report& report, const Options& options);

/// A model that got every label of both conditions at once, as far as the traffic shows them: what
/// the loop is held against. In oracle.cc.
Result<void> ConsultOracle(Story& story);
/// Whether everything that was acknowledged is there, once. In verify.cc.
Result<void> CountLosses(Story& story);
/// Until monitoring has cut `predictions` of the task into windows, all of them are closed and
/// judged, and the watch has seen the alerts that came of it. For when no more are sent. In
/// judgement.cc.
Result<void> AwaitAllJudged(Story& story, std::uint64_t predictions);
/// The same of what was answered until now; more must come, or the last window stays open. In
/// judgement.cc.
Result<void> AwaitJudgedUntilNow(Story& story);
/// Until monitoring has heard how labeling found these people's votes when it last made labels, and
/// the watch has seen the alerts that came of it. In judgement.cc.
Result<void> AwaitAnnotatorsJudged(Story& story, const std::vector<DeskPerson>& people);
/// One dataset version, run and promotion of the cycle; every vote and sample. In verify.cc.
Result<void> VerifyExactlyOnce(Story& story);

}  // namespace tidewheel::cli::drill
