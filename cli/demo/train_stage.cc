#include <unistd.h>

#include <algorithm>

#include "tidewheel/base/ids.h"
#include "tidewheel/cli/demo/story.h"
#include "tidewheel/cli/output/progress_bar.h"
#include "tidewheel/training/v1/training_service.grpc.pb.h"

namespace tidewheel::cli::demo {
namespace {

namespace v1 = training::v1;
using Stub = v1::TrainingService::Stub;

constexpr std::chrono::minutes kLongestRun{60};

Result<v1::Run> Start(Story& story, const std::string& recipe) {
  v1::StartRunRequest request;
  request.set_request_id("demo-" + NewUuid());
  request.set_dataset_version_id(story.dataset.dataset_version_id());
  request.set_recipe(recipe);
  request.set_seed(story.seed);
  request.set_actor("demo");
  const auto started = story.platform.Call(&Stub::StartRun, request);
  if (!started) return started.error();
  return started->run();
}

/// Shows a run's progress: a bar on a terminal, else a line when an epoch begins.
class RunProgress {
 public:
  explicit RunProgress(Account& account, const std::string& recipe)
      : account_(account), recipe_(recipe), bar_(recipe) {}

  void Show(const v1::Run& run) {
    const auto& progress = run.progress();
    if (progress.phase().empty()) return;
    const bool trains = progress.phase() == "training";
    bar_.Show(progress.steps_done(), progress.steps_total(),
              trains ? "epoch " + std::to_string(progress.epoch()) + "/" +
                           std::to_string(progress.epochs()) + ", validation " +
                           FormatNumber(progress.validation_metric(), 3) + ", " +
                           FormatSeconds(progress.seconds_left()) + " left"
                     : progress.phase());
    // Where nobody watches, a few lines are enough.
    if (::isatty(STDERR_FILENO) == 1 || progress.phase() == last_phase_) return;
    last_phase_ = progress.phase();
    account_.Say(recipe_ + ": " + progress.phase());
  }

 private:
  Account& account_;
  const std::string recipe_;
  ProgressBar bar_;
  std::string last_phase_;
};

/// Follows a run to its end; the stream is opened again when training restarts.
Result<v1::Run> Follow(Story& story, const v1::Run& started) {
  const auto channel = story.platform.ChannelTo("training");
  if (!channel) return channel.error();
  RunProgress progress(story.account, started.recipe());
  const auto deadline = std::chrono::steady_clock::now() + kLongestRun;
  v1::Run run = started;
  Error problem{ErrorCode::kDeadlineExceeded, "run " + started.run_id() + " takes too long"};
  for (int failures = 0; failures < 5 && std::chrono::steady_clock::now() < deadline;) {
    rpc::ClientContextWithDeadline context(kLongestRun);
    v1::WatchRunRequest request;
    request.set_run_id(started.run_id());
    Stub stub(*channel);
    auto stream = stub.WatchRun(&context, request);
    v1::WatchRunResponse response;
    while (stream->Read(&response)) {
      run = response.run();
      progress.Show(run);
      failures = 0;
    }
    const auto ended = rpc::FromGrpcStatus(stream->Finish(), "training");
    const bool over = run.state() != v1::RUN_STATE_QUEUED && run.state() != v1::RUN_STATE_RUNNING;
    if (over && run.state() == v1::RUN_STATE_SUCCEEDED) return run;
    if (over) {
      return Error{ErrorCode::kFailedPrecondition,
                   "run " + run.run_id() + " (" + run.recipe() + ") has " +
                       LowerEnum(v1::RunState_Name(run.state()), "RUN_STATE_") + ": " +
                       run.reason()};
    }
    if (!ended) problem = ended.error();
    ++failures;
  }
  return problem;
}

const v1::Metric* TestMetric(const v1::Run& run, const std::string& name) {
  for (const auto& evaluation : run.evaluations()) {
    if (evaluation.split() != "test") continue;
    for (const auto& metric : evaluation.metrics()) {
      if (metric.name() == name) return &metric;
    }
  }
  return nullptr;
}

std::string Shown(const v1::Run& run, const std::string& name) {
  const auto* metric = TestMetric(run, name);
  if (metric == nullptr) return "-";
  return FormatNumber(metric->value(), 3) + " (" + FormatNumber(metric->low(), 3) + " to " +
         FormatNumber(metric->high(), 3) + ")";
}

void ReportMetric(Report& report, const v1::Run& run, const std::string& model,
                  const std::string& name) {
  const std::string figure = "demo." + model + ".test." + name;
  const auto* metric = TestMetric(run, name);
  if (metric == nullptr) {
    report.SetUnknown(figure, "ratio", "the run's evaluation has no " + name);
    return;
  }
  report.Set(figure, metric->value(), "ratio",
             "on the test split, 95 % interval " + FormatNumber(metric->low()) + " to " +
                 FormatNumber(metric->high()) + " (" + metric->interval() + ")");
}

/// McNemar's verdict on "is the CNN better?", for people.
std::string InWords(const v1::CompareRunsResponse& cnn_and_linear) {
  const auto& c = cnn_and_linear;
  const std::string counts =
      "they differ on " + FormatCount(c.only_first_right() + c.only_second_right()) + " of " +
      FormatCount(c.samples()) + " test pictures (" + FormatCount(c.only_first_right()) +
      " only the CNN has right, " + FormatCount(c.only_second_right()) +
      " only the baseline; McNemar, " + (c.exact() ? "exact, " : "") +
      (c.p_value() < 0.001 ? std::string("p < 0.001") : "p = " + FormatNumber(c.p_value(), 3)) +
      ")";
  if (c.p_value() >= 0.05)
    return "No: the CNN is not shown to be better than the baseline; " + counts;
  return (c.only_first_right() > c.only_second_right()
              ? "Yes: the CNN is better than the baseline; "
              : "No: the baseline is better than the CNN; ") +
         counts;
}

}  // namespace

Result<void> TrainModels(Story& story) {
  const SupplyTraits& traits = story.pictures.traits();
  story.account.Title("Train");
  const StageTimer timer("train");
  // Both wait in the queue at once; how many train side by side is the service's affair.
  auto linear = Start(story, "image-linear");
  if (!linear) return linear.error();
  auto cnn = Start(story, "image-cnn");
  if (!cnn) return cnn.error();
  for (auto* run : {&linear, &cnn}) {
    auto ended = Follow(story, **run);
    if (!ended) return ended.error();
    *run = std::move(ended);
  }
  story.linear = *std::move(linear);
  story.cnn = *std::move(cnn);
  const double seconds =
      timer.Finish(story.report, 2.0 * static_cast<double>(story.dataset.items()),
                   "dataset items of both runs, queue, evaluation and packaging included,");
  for (const auto& [model, run] :
       {std::pair{"linear", &story.linear}, std::pair{"cnn", &story.cnn}}) {
    for (const char* name : {"accuracy", "balanced_accuracy", "ece"}) {
      ReportMetric(story.report, *run, model, name);
    }
    for (const auto& name : traits.classes) {
      ReportMetric(story.report, *run, model, "recall." + name);
    }
    story.report.Set("demo." + std::string(model) + ".training_seconds", run->training_seconds(),
                     "seconds", "as the run's worker measured it, optimisation alone");
  }

  v1::CompareRunsRequest request;
  request.set_run_id(story.cnn.run_id());
  request.set_other_run_id(story.linear.run_id());
  const auto compared = story.platform.Call(&Stub::CompareRuns, request);
  if (!compared) return compared.error();
  story.report.Set("demo.compare.p_value", compared->p_value(), "1",
                   "McNemar's test of the CNN against the baseline on the test split");

  const std::string rarest = "recall." + traits.classes[traits.rarest_class];
  Table table({"on the test part, with 95 % intervals", "linear baseline", "CNN"});
  for (const auto& [shown, name] : {std::pair<std::string, std::string>{"accuracy", "accuracy"},
                                    {"balanced accuracy", "balanced_accuracy"},
                                    {"recall of " + traits.classes[traits.rarest_class], rarest},
                                    {"calibration error", "ece"}}) {
    table.Add({shown, Shown(story.linear, name), Shown(story.cnn, name)});
  }
  table.Add({"training alone", FormatSeconds(story.linear.training_seconds()),
             FormatSeconds(story.cnn.training_seconds())});
  story.account.Show(table);
  story.account.Say(InWords(*compared));
  story.account.Say("both together, packages checked and registered: " + FormatSeconds(seconds));

  // The demo shows the CNN in service; only a baseline that is clearly better keeps it out.
  const bool baseline_wins =
      compared->p_value() < 0.05 && compared->only_second_right() > compared->only_first_right();
  story.promoted = baseline_wins ? story.linear : story.cnn;
  return {};
}

}  // namespace tidewheel::cli::demo
