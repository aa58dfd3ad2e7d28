#include <algorithm>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/random.h"
#include "tidewheel/cli/drill/patience.h"
#include "tidewheel/cli/drill/story.h"
#include "tidewheel/cli/drill/task_text.h"
#include "tidewheel/cli/push/sample_stream.h"
#include "tidewheel/curation/v1/curation_service.grpc.pb.h"
#include "tidewheel/inference/v1/inference_service.grpc.pb.h"
#include "tidewheel/labeling/v1/labeling_service.grpc.pb.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/training/v1/training_service.grpc.pb.h"

namespace tidewheel::cli::drill {
namespace {

using curation::v1::CurationService;
using labeling::v1::LabelingService;
using model_registry::v1::ModelRegistryService;
using training::v1::TrainingService;

constexpr std::chrono::minutes kLongestRun{15};
constexpr std::chrono::seconds kLoadLimit{60};
constexpr int kVoteBatch = 5'000;
constexpr char kGiven[] = "given-labels";
constexpr char kSecondReader[] = "second-reader";
// The people of the queue are known by then: each has voted on so many pictures of the first set.
constexpr std::size_t kVotesOfRecord = 150;
constexpr std::size_t kKeptBack = 400;  // kNoise: pictures for the queue.

/// The votes that a first set gets: its labels, read twice (one vote on a rare class leaves doubt).
void AddGivenVotes(const std::string& sample_id, std::size_t class_index,
                   std::vector<GivenVote>& votes) {
  votes.push_back({sample_id, class_index, kGiven, labeling::v1::ANNOTATOR_KIND_IMPORT});
  votes.push_back({sample_id, class_index, kSecondReader, labeling::v1::ANNOTATOR_KIND_PERSON});
}

}  // namespace

Result<void> Story::Apply(const std::string& task_name, bool closes_loop) {
  auto text = TaskText(collection.traits.task_yaml, task_name, options, closes_loop);
  if (!text) return text.error();
  model_registry::v1::ApplyTaskRequest request;
  request.set_yaml(*std::move(text));
  request.set_actor("drill");
  const auto applied = PatientCall(platform, &ModelRegistryService::Stub::ApplyTask, request);
  return applied ? Result<void>() : Prefixed("task " + task_name + ": ", applied.error());
}

Result<StoredByName> Story::Push(const std::string& task_name,
                                 const std::vector<const KnownPicture*>& pictures) {
  const auto channel = platform.PlainChannelTo("ingestion");
  if (!channel) return channel.error();
  StoredByName taken;
  std::uint64_t set_aside = 0;
  SampleStream stream(*channel, task_name, {}, [&](const auto& sent, const auto& answer) {
    for (int i = 0; i < sent.samples_size(); ++i) {
      const auto& verdict = answer.verdicts(i);
      if (verdict.disposition() == ingestion::v1::DISPOSITION_QUARANTINED) {
        ++set_aside;
      } else {
        taken[sent.samples(i).name()] = {verdict.sample_id(), verdict.split()};
      }
    }
  });
  for (const KnownPicture* picture : pictures) {
    ingestion::v1::NewSample sample;
    sample.set_payload(picture->payload);
    sample.set_name(picture->name);
    sample.set_source(collection.traits.source);
    sample.set_group(picture->name);
    if (!picture->given_split.empty()) {
      (*sample.mutable_metadata())["split"] = picture->given_split;
    }
    if (auto pushed = stream.Push(std::move(sample)); !pushed) return pushed.error();
  }
  if (auto finished = stream.Finish(); !finished) return finished.error();
  if (taken.empty()) return Error{ErrorCode::kFailedPrecondition, "no picture was accepted"};
  if (set_aside > 0) {
    progress.Say(FormatCount(set_aside) + " of " + FormatCount(pictures.size()) +
                 " pictures were set aside by ingestion");
  }
  return taken;
}

Result<void> Story::Vote(const std::string& task_name, const std::vector<GivenVote>& votes) {
  labeling::v1::SubmitVotesRequest request;
  request.set_task(task_name);
  for (std::size_t i = 0; i < votes.size(); ++i) {
    auto& vote = *request.add_votes();
    vote.set_sample_id(votes[i].sample_id);
    vote.set_class_name(classes()[votes[i].class_index]);
    vote.set_annotator(votes[i].annotator);
    vote.set_annotator_kind(votes[i].kind);
    vote.set_source("drill");
    if (request.votes_size() < kVoteBatch && i + 1 < votes.size()) continue;
    const auto response = PatientCall(platform, &LabelingService::Stub::SubmitVotes, request);
    if (!response) return response.error();
    if (response->rejected_size() > 0) {
      return Error{ErrorCode::kFailedPrecondition,
                   std::to_string(response->rejected_size()) +
                       " votes were rejected, the first: " + response->rejected(0).reason()};
    }
    request.clear_votes();
  }
  return {};
}

Result<void> Story::ComputeLabels(const std::string& task_name) {
  labeling::v1::ComputeLabelsRequest request;
  request.set_task(task_name);
  const auto computed = PatientCall(platform, &LabelingService::Stub::ComputeLabels, request);
  return computed ? Result<void>() : computed.error();
}

Result<curation::v1::DatasetVersion> Story::BuildDataset(const std::string& task_name) {
  curation::v1::BuildDatasetVersionRequest request;
  request.mutable_recipe()->set_task(task_name);
  request.set_description("drill, seed " + std::to_string(options.seed));
  request.set_actor("drill");
  auto built = PatientCall(platform, &CurationService::Stub::BuildDatasetVersion, request);
  if (!built) return built.error();
  return std::move(*built->mutable_dataset_version());
}

Result<training::v1::Run> Story::Train(const std::string& dataset_version_id, std::uint64_t seed,
                                       const std::string& request_id) {
  training::v1::StartRunRequest request;
  request.set_request_id(request_id);
  request.set_dataset_version_id(dataset_version_id);
  request.set_recipe("image-cnn");
  request.set_seed(seed);
  request.set_actor("drill");
  auto started = PatientCall(platform, &TrainingService::Stub::StartRun, request);
  if (!started) return started.error();
  training::v1::GetRunRequest get;
  get.set_run_id(started->run().run_id());
  const auto deadline = std::chrono::steady_clock::now() + kLongestRun;
  while (true) {
    const auto got = PatientCall(platform, &TrainingService::Stub::GetRun, get);
    if (!got) return got.error();
    const auto& run = got->run();
    const std::string state = LowerEnum(training::v1::RunState_Name(run.state()), "RUN_STATE_") +
                              (run.reason().empty() ? "" : ": " + run.reason());
    if (run.state() == training::v1::RUN_STATE_FAILED ||
        run.state() == training::v1::RUN_STATE_CANCELLED) {
      return Error{ErrorCode::kFailedPrecondition, "run " + run.run_id() + " has " + state};
    }
    // It is registered a moment after it has succeeded.
    if (run.state() == training::v1::RUN_STATE_SUCCEEDED && !run.model_version_id().empty()) {
      return run;
    }
    if (std::chrono::steady_clock::now() > deadline) {
      return Error{ErrorCode::kDeadlineExceeded,
                   "run " + run.run_id() + " is still " + state + " after " +
                       std::to_string(kLongestRun.count()) + " minutes"};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

Result<std::string> Story::Serving(const std::string& task_name) {
  const auto loaded =
      PatientList(platform, &inference::v1::InferenceService::Stub::ListLoadedModels,
                  inference::v1::ListLoadedModelsRequest());
  if (!loaded) return loaded.error();
  for (const auto& model : loaded->models()) {
    if (model.task() == task_name && (model.role().empty() || model.role() == "production")) {
      return model.model_version_id();
    }
  }
  return std::string();
}

Result<void> Story::WaitUntilServed(const std::string& task_name,
                                    const std::string& model_version_id) {
  Result<std::string> serving = std::string();
  auto waited = WaitFor(
      [&] {
        serving = Serving(task_name);
        return !serving || *serving == model_version_id;
      },
      kLoadLimit, "inference serving model version " + model_version_id,
      [&] { return *serving == "" ? "it serves nothing" : "it serves " + *serving; });
  return serving ? waited : serving.error();
}

Result<void> Story::Promote(const std::string& task_name, const std::string& model_version_id,
                            const std::string& override_reason) {
  model_registry::v1::PromoteModelVersionRequest request;
  request.set_model_version_id(model_version_id);
  request.set_actor("drill");
  request.set_override_reason(override_reason);
  const auto promoted =
      PatientCall(platform, &ModelRegistryService::Stub::PromoteModelVersion, request);
  if (!promoted) return promoted.error();
  return WaitUntilServed(task_name, model_version_id);
}

Result<void> Story::MakeFirstModel() {
  progress.Title("A first model");
  task = TaskName(collection.traits.task_yaml);
  if (auto applied = Apply(task); !applied) return applied;

  std::vector<const KnownPicture*> pictures;
  for (const auto& picture : collection.given) pictures.push_back(&picture);
  auto pushed = Push(task, pictures);
  if (!pushed) return pushed.error();
  stored = *std::move(pushed);
  progress.Say("task " + task + "; " + FormatCount(stored.size()) + " pictures pushed");

  // What nothing was learned from; drawn sets have more of it than a model could see.
  std::vector<KnownPicture> unseen = collection.spare;
  std::vector<const KnownPicture*> labeled;
  for (const KnownPicture* picture : pictures) {
    const auto found = stored.find(picture->name);
    if (found == stored.end()) continue;
    const bool learnable = found->second.split == ingestion::v1::SPLIT_TRAINING;
    if (!learnable && collection.spare.empty()) unseen.push_back(*picture);
    if (options.scenario == Scenario::kNoise && learnable && unlabeled.size() < kKeptBack &&
        StableHash(picture->name, options.seed) % 2 == 0) {
      unlabeled.push_back(picture->name);
      continue;
    }
    labeled.push_back(picture);
  }
  // What is not turned, judged or compared can be shown as a whole.
  const double share = options.scenario == Scenario::kCalm ? 1.0 : 0.5;
  auto [sent, fresh] = Divide(unseen, classes().size(), share, options.seed);
  old_traffic = std::make_shared<Pool>(std::move(sent));
  old_fresh = std::make_shared<Pool>(std::move(fresh));
  const bool faulty = options.scenario == Scenario::kFault;
  if (options.turns() || faulty) {
    const Condition condition = faulty ? Condition::kFaulty : Condition::kTurned;
    auto changed = old_traffic->In(condition, options.seed);
    if (!changed) return changed.error();
    new_traffic = std::make_shared<Pool>(*std::move(changed));
    changed = old_fresh->In(condition, options.seed);
    if (!changed) return changed.error();
    new_fresh = std::make_shared<Pool>(*std::move(changed));
    answers.Add(*new_traffic);
  }
  answers.Add(*old_traffic);
  answers.Add(Pool(Condition::kOld, collection.given, classes().size()));

  std::vector<GivenVote> votes;
  const std::vector<std::string> people = {"ana", "boris", "chen"};
  std::vector<const KnownPicture*> of_record;
  for (const KnownPicture* picture : labeled) {
    const Stored& sample = stored.at(picture->name);
    AddGivenVotes(sample.sample_id, picture->class_index, votes);
    if (sample.split == ingestion::v1::SPLIT_TRAINING) of_record.push_back(picture);
  }
  // Whatever order the pictures came in: what the people are known by is of every class.
  std::sort(of_record.begin(), of_record.end(), [&](const auto* a, const auto* b) {
    return StableHash(a->name, options.seed) < StableHash(b->name, options.seed);
  });
  if (of_record.size() > kVotesOfRecord) of_record.resize(kVotesOfRecord);
  for (const KnownPicture* picture : of_record) {
    const Stored& sample = stored.at(picture->name);
    for (const auto& name : people) {
      votes.push_back({sample.sample_id,
                       SaidOf({name, options.annotator_error}, picture->payload,
                              picture->class_index, classes().size(), options.seed),
                       name, labeling::v1::ANNOTATOR_KIND_PERSON});
    }
  }
  if (options.scenario == Scenario::kPlanted) {
    // First the model that must not serve: of the training pictures, each has another's class.
    std::vector<GivenVote> shuffled;
    std::vector<std::size_t> truths;
    for (const KnownPicture* picture : labeled) {
      if (stored.at(picture->name).split == ingestion::v1::SPLIT_TRAINING) {
        truths.push_back(picture->class_index);
      }
    }
    Random random(StableHash("shuffled labels", options.seed));
    for (std::size_t i = truths.size(); i > 1; --i) {
      std::swap(truths[i - 1], truths[random.Below(i)]);
    }
    std::size_t next = 0;
    for (const KnownPicture* picture : labeled) {
      const Stored& sample = stored.at(picture->name);
      const bool learned = sample.split == ingestion::v1::SPLIT_TRAINING;
      AddGivenVotes(sample.sample_id, learned ? truths[next++] : picture->class_index, shuffled);
    }
    if (auto voted = Vote(task, shuffled); !voted) return voted;
    if (auto computed = ComputeLabels(task); !computed) return computed;
    const auto dataset = BuildDataset(task);
    if (!dataset) return dataset.error();
    const auto run = Train(dataset->dataset_version_id(), options.seed, "drill-shuffled");
    if (!run) return run.error();
    harmful_version = run->model_version_id();
    progress.Say("a model learned shuffled labels: version " + harmful_version);
  }
  if (auto voted = Vote(task, votes); !voted) return voted;
  if (auto computed = ComputeLabels(task); !computed) return computed;
  auto dataset = BuildDataset(task);
  if (!dataset) return dataset.error();
  first_dataset = *std::move(dataset);
  progress.Say(FormatCount(votes.size()) + " votes; dataset version of " +
               FormatCount(first_dataset.items()) + " items");
  const auto run = Train(first_dataset.dataset_version_id(), options.seed, "drill-first");
  if (!run) return run.error();
  first_version = run->model_version_id();
  if (auto promoted = Promote(task, first_version, ""); !promoted) return promoted;
  progress.Say("trained in " + demo::FormatSeconds(run->training_seconds()) +
               ", promoted, and serves; " + FormatCount(old_traffic->size()) +
               " pictures it never saw are for the traffic, " + FormatCount(old_fresh->size()) +
               " to judge by");
  return {};
}

}  // namespace tidewheel::cli::drill
