#include <algorithm>

#include "tidewheel/base/random.h"
#include "tidewheel/cli/demo/story.h"
#include "tidewheel/cli/output/progress_bar.h"
#include "tidewheel/labeling/v1/labeling_service.grpc.pb.h"

namespace tidewheel::cli::demo {
namespace {

namespace v1 = labeling::v1;
using Stub = v1::LabelingService::Stub;

constexpr int kBatchVotes = 5'000;
constexpr char kGiven[] = "given-labels";
constexpr char kSecondReader[] = "second-reader";

/// Sends votes in batches. For one thread.
class VoteSender {
 public:
  explicit VoteSender(Story& story) : story_(story), bar_("votes") {
    request_.set_task(story.task.name());
  }

  Result<void> Add(const KnownSample& sample, std::size_t class_index, const std::string& annotator,
                   v1::AnnotatorKind kind) {
    v1::NewVote& vote = *request_.add_votes();
    vote.set_sample_id(sample.sample_id);
    vote.set_class_name(story_.ClassName(class_index));
    vote.set_annotator(annotator);
    vote.set_annotator_kind(kind);
    vote.set_source("demo");
    return request_.votes_size() < kBatchVotes ? Result<void>() : Send();
  }

  Result<void> Send() {
    if (request_.votes_size() == 0) return {};
    const auto response = story_.platform.Call(&Stub::SubmitVotes, request_);
    if (!response) return response.error();
    if (response->rejected_size() > 0) {
      return Error{ErrorCode::kFailedPrecondition,
                   std::to_string(response->rejected_size()) +
                       " votes were rejected, the first: " + response->rejected(0).reason()};
    }
    sent_ += static_cast<std::uint64_t>(request_.votes_size());
    request_.clear_votes();
    bar_.Show(sent_, std::nullopt);
    return {};
  }

  std::uint64_t sent() const { return sent_; }

 private:
  Story& story_;
  ProgressBar bar_;
  v1::SubmitVotesRequest request_;
  std::uint64_t sent_ = 0;
};

Result<v1::ComputeLabelsResponse> Compute(Story& story, v1::ConsensusMethod method) {
  v1::ComputeLabelsRequest request;
  request.set_task(story.task.name());
  request.set_method(method);
  return story.platform.Call(&Stub::ComputeLabels, request);
}

/// Sample id -> what it truly shows.
using Truth = std::unordered_map<std::string, std::size_t>;

/// Share of the voted samples whose label is the truth; one without a label is wrong.
Result<double> LabelAccuracy(Story& story, const Truth& truth) {
  v1::ListLabelsRequest request;
  request.set_task(story.task.name());
  request.set_page_size(1'000);
  std::uint64_t right = 0;
  while (true) {
    const auto page = story.platform.Call(&Stub::ListLabels, request);
    if (!page) return page.error();
    for (const auto& label : page->labels()) {
      const auto found = truth.find(label.sample_id());
      if (found != truth.end() && label.class_name() == story.ClassName(found->second)) ++right;
    }
    if (page->next_page_token().empty()) break;
    request.set_page_token(page->next_page_token());
  }
  return static_cast<double>(right) / static_cast<double>(truth.size());
}

struct Tally {
  std::uint64_t votes = 0;
  std::uint64_t right = 0;
};

Result<void> ShowAnnotators(Story& story, const Crowd& crowd, const std::vector<Tally>& tallies) {
  v1::ListAnnotatorsRequest request;
  request.set_task(story.task.name());
  const auto listed = story.platform.CallList(&Stub::ListAnnotators, request, 0);
  if (!listed) return listed.error();
  Table table({"annotator", ">votes", ">truly right", ">as estimated"});
  for (std::size_t i = 0; i < tallies.size(); ++i) {
    const std::string& name = crowd.annotators()[i].name;
    std::string estimated = "-";
    for (const auto& annotator : listed->annotators()) {
      if (annotator.annotator() == name && annotator.has_quality()) {
        estimated = FormatPercent(annotator.quality());
      }
    }
    table.Add({name, FormatCount(tallies[i].votes),
               FormatPercent(static_cast<double>(tallies[i].right) /
                             static_cast<double>(std::max<std::uint64_t>(tallies[i].votes, 1))),
               estimated});
  }
  story.account.Show(table);
  return {};
}

}  // namespace

Result<void> LabelPictures(Story& story) {
  const SupplyTraits& traits = story.pictures.traits();
  story.account.Title("Label");
  // The test part keeps the labels it came with: what a model is judged by must not be guessed.
  std::uint64_t learnable = 0;
  for (const auto& sample : story.samples) {
    if (sample.split != ingestion::v1::SPLIT_TEST) ++learnable;
  }
  const auto voted_on = [&](const KnownSample& sample) {
    if (sample.split == ingestion::v1::SPLIT_TEST) return false;
    return learnable <= traits.voted_training_pictures ||
           StableHash(sample.name, story.seed) % learnable < traits.voted_training_pictures;
  };

  const StageTimer timer("label");
  const Crowd crowd(traits.classes.size(), traits.confusions, story.seed);
  VoteSender sender(story);
  std::vector<Tally> tallies(crowd.annotators().size());
  Truth truth;
  for (const auto& sample : story.samples) {
    if (!voted_on(sample)) continue;
    truth.emplace(sample.sample_id, sample.class_index);
    for (const auto& vote : crowd.VotesOn(sample.name, sample.class_index)) {
      ++tallies[vote.annotator].votes;
      if (vote.class_index == sample.class_index) ++tallies[vote.annotator].right;
      auto added = sender.Add(sample, vote.class_index, crowd.annotators()[vote.annotator].name,
                              v1::ANNOTATOR_KIND_PERSON);
      if (!added) return added;
    }
  }
  if (auto sent = sender.Send(); !sent) return sent;
  const std::uint64_t crowd_votes = sender.sent();

  const auto majority = Compute(story, v1::CONSENSUS_METHOD_MAJORITY);
  if (!majority) return majority.error();
  const auto majority_accuracy = LabelAccuracy(story, truth);
  if (!majority_accuracy) return majority_accuracy.error();

  for (const auto& sample : story.samples) {
    if (voted_on(sample)) continue;
    auto added = sender.Add(sample, sample.class_index, kGiven, v1::ANNOTATOR_KIND_IMPORT);
    if (!added) return added;
    if (sample.split != ingestion::v1::SPLIT_TEST) continue;
    // One vote on a rare class leaves doubt, and a test set is worth a second look.
    added = sender.Add(sample, sample.class_index, kSecondReader, v1::ANNOTATOR_KIND_PERSON);
    if (!added) return added;
  }
  if (auto sent = sender.Send(); !sent) return sent;
  const auto consensus = Compute(story, v1::CONSENSUS_METHOD_DAWID_SKENE);
  if (!consensus) return consensus.error();
  const auto consensus_accuracy = LabelAccuracy(story, truth);
  if (!consensus_accuracy) return consensus_accuracy.error();
  const double seconds =
      timer.Finish(story.report, static_cast<double>(sender.sent()),
                   "votes sent, both consensus methods and the listing of all labels included,");

  const std::string how = "share of " + std::to_string(truth.size()) +
                          " samples with simulated votes whose label is the known truth";
  story.report.Set("demo.label.votes", static_cast<double>(sender.sent()), "count",
                   "votes sent, simulated and imported");
  story.report.Set("demo.consensus.majority.accuracy", *majority_accuracy, "ratio", how);
  story.report.Set("demo.consensus.dawid_skene.accuracy", *consensus_accuracy, "ratio", how);

  story.account.Say(
      FormatCount(crowd_votes) + " votes of " + std::to_string(crowd.annotators().size()) +
      " simulated annotators on " + FormatCount(truth.size()) + " pictures, 3 to 5 each; " +
      FormatCount(sender.sent() - crowd_votes) +
      " votes for labels that came with the pictures (those of the test part read twice); " +
      FormatSeconds(seconds));
  if (auto shown = ShowAnnotators(story, crowd, tallies); !shown) return shown;
  story.account.Say("right labels on what was voted on: majority " +
                    FormatPercent(*majority_accuracy, 2) + " (" + FormatCount(majority->ties()) +
                    " ties), Dawid-Skene " + FormatPercent(*consensus_accuracy, 2) + " after " +
                    std::to_string(consensus->rounds()) + " rounds; Dawid-Skene is used");
  return {};
}

}  // namespace tidewheel::cli::demo
