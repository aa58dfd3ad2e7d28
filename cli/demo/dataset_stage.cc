#include "tidewheel/cli/demo/story.h"
#include "tidewheel/curation/v1/curation_service.grpc.pb.h"

namespace tidewheel::cli::demo {

namespace v1 = curation::v1;

Result<void> BuildDataset(Story& story) {
  story.account.Title("Dataset version");
  const StageTimer timer("dataset");
  v1::BuildDatasetVersionRequest request;
  request.mutable_recipe()->set_task(story.task.name());
  request.set_description("demo, seed " + std::to_string(story.seed));
  request.set_actor("demo");
  const auto built = story.platform.Call(&v1::CurationService::Stub::BuildDatasetVersion, request);
  if (!built) return built.error();
  story.dataset = built->dataset_version();
  const double seconds =
      timer.Finish(story.report, static_cast<double>(story.dataset.items()), "items");
  const auto& report = story.dataset.report();
  story.report.Set("demo.dataset.items", static_cast<double>(story.dataset.items()), "count",
                   "samples with a label in force");
  story.report.Set("demo.dataset.imbalance", report.imbalance(), "ratio",
                   "largest class over smallest in the training split");

  story.account.Say("version " + std::to_string(story.dataset.version()) +
                    (built->created() ? "" : " (the same content was built before)") + ", " +
                    FormatCount(story.dataset.items()) + " items, digest " +
                    story.dataset.digest() + ", " + FormatSeconds(seconds));
  Table table({"class", ">training", ">validation", ">test", ">weight"});
  for (const auto& count : report.classes()) {
    table.Add({count.class_name(), FormatCount(count.training()), FormatCount(count.validation()),
               FormatCount(count.test()), FormatNumber(count.weight(), 2)});
  }
  table.Add({"all", FormatCount(report.training()), FormatCount(report.validation()),
             FormatCount(report.test()), ""});
  story.account.Show(table);
  story.account.Say("imbalance " + FormatNumber(report.imbalance(), 1) +
                    " to 1; left out: " + FormatCount(report.unlabeled()) + " unlabeled, " +
                    FormatCount(report.low_confidence()) + " with too little confidence; " +
                    FormatCount(report.groups_across_splits()) + " groups stand in two splits");
  return {};
}

}  // namespace tidewheel::cli::demo
