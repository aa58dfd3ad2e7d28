#include "tidewheel/cli/drill/story.h"

namespace tidewheel::cli::drill {

Result<void> ConsultOracle(Story& story) {
  story.progress.Title("An oracle");
  const std::string task = story.task + "-oracle";
  // It is only asked: what drifts for it is nobody's business.
  if (auto applied = story.Apply(task, false); !applied) return applied;
  std::vector<const KnownPicture*> pictures;
  for (const auto& picture : story.collection.given) pictures.push_back(&picture);
  for (const auto& picture : story.new_traffic->pictures()) pictures.push_back(&picture);
  const auto stored = story.Push(task, pictures);
  if (!stored) return stored.error();
  std::vector<GivenVote> votes;
  for (const KnownPicture* picture : pictures) {
    const auto found = stored->find(picture->name);
    if (found == stored->end()) continue;
    for (const auto& [name, kind] :
         {std::pair{"given-labels", labeling::v1::ANNOTATOR_KIND_IMPORT},
          std::pair{"second-reader", labeling::v1::ANNOTATOR_KIND_PERSON}}) {
      votes.push_back({found->second.sample_id, picture->class_index, name, kind});
    }
  }
  if (auto voted = story.Vote(task, votes); !voted) return voted;
  if (auto computed = story.ComputeLabels(task); !computed) return computed;
  const auto dataset = story.BuildDataset(task);
  if (!dataset) return dataset.error();
  const auto run = story.Train(dataset->dataset_version_id(), story.options.seed, "drill-oracle");
  if (!run) return run.error();
  auto promoted = story.Promote(task, run->model_version_id(), "an oracle is judged, not gated");
  if (!promoted) return promoted;
  const auto turned = story.Examine(task, *story.new_fresh, "oracle-new-");
  if (!turned) return turned.error();
  const auto old = story.Examine(task, *story.old_fresh, "oracle-old-");
  if (!old) return old.error();

  const std::string how = "a model trained at once on the first set and all " +
                          std::to_string(story.new_traffic->size()) +
                          " pictures of the traffic's pool in the new condition, truly labeled; ";
  story.report.Set(story.Figure("accuracy.oracle"), turned->accuracy(), "ratio",
                   how + "on the fresh pictures of the new condition");
  story.report.Set(story.Figure("accuracy.oracle_old"), old->accuracy(), "ratio",
                   how + "on the fresh pictures of the old condition");
  if (const auto after = story.report.Find(story.Figure("accuracy.after"));
      after && turned->accuracy() > 0) {
    story.report.Set(story.Figure("oracle_ratio"), *after / turned->accuracy(), "ratio",
                     "accuracy after over the oracle's, same fresh pictures");
  }
  story.progress.Say("with every label at once (" + FormatCount(dataset->items()) +
                     " items): " + demo::FormatPercent(turned->accuracy()) + " new, " +
                     demo::FormatPercent(old->accuracy()) + " old");
  return {};
}

}  // namespace tidewheel::cli::drill
