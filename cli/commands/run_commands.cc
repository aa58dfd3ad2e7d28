#include <algorithm>
#include <fstream>
#include <memory>
#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/cli/commands/command.h"
#include "tidewheel/cli/commands/dataset_lookup.h"
#include "tidewheel/cli/output/progress_bar.h"
#include "tidewheel/training/v1/training_service.grpc.pb.h"

namespace tidewheel::cli {
namespace {

namespace v1 = training::v1;
using Stub = v1::TrainingService::Stub;

struct TrainOptions {
  std::string dataset;
  std::string recipe;
  std::uint64_t seed = 0;
  std::optional<std::uint32_t> epochs;
  std::optional<std::uint32_t> batch_size;
  std::optional<double> learning_rate;
  std::optional<double> weight_decay;
  std::optional<std::uint32_t> patience;
  std::optional<bool> class_weights;
  std::string request_id;
  bool wait = true;
  double retry_seconds = 60;
};

struct ListOptions {
  std::string task;
  std::string state;
  std::string run;
  std::string other_run;
  std::string split;
  std::string reason;
  bool errors_only = false;
  std::uint64_t limit = 100;
};

std::string StateName(v1::RunState state) {
  return LowerEnum(v1::RunState_Name(state), "RUN_STATE_");
}

bool HasEnded(const v1::Run& run) {
  return run.state() == v1::RUN_STATE_SUCCEEDED || run.state() == v1::RUN_STATE_FAILED ||
         run.state() == v1::RUN_STATE_CANCELLED;
}

std::string MetricText(const v1::Run& run, const std::string& split, const std::string& name) {
  for (const auto& evaluation : run.evaluations()) {
    if (evaluation.split() != split) continue;
    for (const auto& metric : evaluation.metrics()) {
      if (metric.name() == name) return FormatNumber(metric.value());
    }
  }
  return "-";
}

void PrintRun(const v1::Run& run) {
  Print("run " + run.run_id() + "  " + StateName(run.state()) + "\n");
  if (!run.reason().empty()) Print("  why: " + run.reason() + "\n");
  Table facts({"FIELD", "VALUE"});
  facts.Add({"task", run.task()});
  facts.Add(
      {"dataset", run.dataset_version_id() + "  digest " + run.dataset_digest().substr(0, 12)});
  facts.Add({"recipe", run.recipe() + ", seed " + std::to_string(run.seed())});
  facts.Add({"code", run.code_version() + (run.code_clean() ? "" : " (changed tree)")});
  facts.Add({"queued", FormatTime(run.queued_at())});
  facts.Add({"started", FormatTime(run.started_at())});
  facts.Add({"ended", FormatTime(run.ended_at())});
  facts.Add({"attempt", std::to_string(run.attempt())});
  if (run.best_epoch() > 0) facts.Add({"best epoch", std::to_string(run.best_epoch())});
  if (run.training_seconds() > 0) {
    facts.Add({"training", FormatNumber(run.training_seconds(), 1) + " s"});
  }
  if (!run.model_version_id().empty()) facts.Add({"model version", run.model_version_id()});
  Print(facts.Text());
  for (const auto& evaluation : run.evaluations()) {
    Print("\n" + evaluation.split() + ", " + FormatCount(evaluation.samples()) + " samples\n");
    Table metrics({"METRIC", ">VALUE", ">LOW", ">HIGH", "INTERVAL"});
    for (const auto& metric : evaluation.metrics()) {
      metrics.Add({metric.name(), FormatNumber(metric.value()), FormatNumber(metric.low()),
                   FormatNumber(metric.high()), metric.interval()});
    }
    Print(metrics.Text());
    const int classes = run.classes_size();
    if (classes == 0 || classes > 20 || evaluation.confusion_size() != classes * classes) continue;
    std::vector<std::string> headers = {"GIVEN \\ PREDICTED"};
    for (const auto& name : run.classes()) headers.push_back(">" + name);
    Table confusion(headers);
    for (int given = 0; given < classes; ++given) {
      std::vector<std::string> row = {run.classes(given)};
      for (int predicted = 0; predicted < classes; ++predicted) {
        row.push_back(std::to_string(evaluation.confusion(given * classes + predicted)));
      }
      confusion.Add(std::move(row));
    }
    Print("\n" + confusion.Text());
  }
}

void ShowProgress(const v1::Run& run, ProgressBar* bar) {
  const auto& progress = run.progress();
  std::string note = StateName(run.state());
  if (run.state() == v1::RUN_STATE_RUNNING) {
    note = progress.phase();
    if (progress.epochs() > 0) {
      note +=
          " epoch " + std::to_string(progress.epoch()) + "/" + std::to_string(progress.epochs());
    }
    if (progress.samples_per_second() > 0) {
      note += "  loss " + FormatNumber(progress.training_loss(), 3) + "  validation " +
              FormatNumber(progress.validation_metric(), 3) + "  " +
              FormatNumber(progress.samples_per_second(), 0) + "/s";
    }
    if (progress.seconds_left() > 0) {
      note += "  " + FormatNumber(progress.seconds_left(), 0) + " s left";
    }
  }
  std::optional<std::uint64_t> total;
  if (progress.steps_total() > 0) total = progress.steps_total();
  bar->Show(progress.steps_done(), total, note);
}

// Follows a run to its end. The stream has no deadline, as a run has none; when it breaks (training
// restarts), a new one is opened for up to `retry_for` without an answer.
Result<v1::Run> Follow(CommandLine& line, const std::string& run_id,
                       std::chrono::duration<double> retry_for) {
  const auto channel = line.platform().PlainChannelTo("training");
  if (!channel) return channel.error();
  v1::TrainingService::Stub stub(*channel);
  v1::WatchRunRequest request;
  request.set_run_id(run_id);
  ProgressBar bar("train");
  auto last_answer = std::chrono::steady_clock::now();
  while (true) {
    grpc::ClientContext context;
    const auto stream = stub.WatchRun(&context, request);
    v1::WatchRunResponse response;
    while (stream->Read(&response)) {
      last_answer = std::chrono::steady_clock::now();
      ShowProgress(response.run(), &bar);
      if (!HasEnded(response.run())) continue;
      context.TryCancel();
      return std::move(*response.mutable_run());
    }
    const auto ended = rpc::FromGrpcStatus(stream->Finish(), "training");
    const bool may_pass =
        ended || IsTransient(ended.error().code) || ended.error().code == ErrorCode::kCancelled;
    if (!may_pass) return ended.error();
    if (std::chrono::steady_clock::now() - last_answer > retry_for) {
      return ended ? Error{ErrorCode::kUnavailable,
                           "training: the stream of run " + run_id + " ends before the run does"}
                   : ended.error();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
  }
}

Result<ExitStatus> Train(CommandLine& line, const TrainOptions& options) {
  const auto dataset = FindDatasetVersion(line, options.dataset);
  if (!dataset) return dataset.error();
  v1::StartRunRequest request;
  request.set_request_id(options.request_id.empty() ? NewUuid() : options.request_id);
  request.set_dataset_version_id(dataset->dataset_version_id());
  request.set_recipe(options.recipe);
  request.set_seed(options.seed);
  request.set_actor(line.actor());
  auto& values = *request.mutable_hyperparameters();
  if (options.epochs) values.set_epochs(*options.epochs);
  if (options.batch_size) values.set_batch_size(*options.batch_size);
  if (options.learning_rate) values.set_learning_rate(*options.learning_rate);
  if (options.weight_decay) values.set_weight_decay(*options.weight_decay);
  if (options.patience) values.set_patience(*options.patience);
  if (options.class_weights) values.set_class_weights(*options.class_weights);
  auto started = line.platform().Call(&Stub::StartRun, request);
  if (!started) return started.error();

  v1::Run run = std::move(*started->mutable_run());
  if (options.wait && !HasEnded(run)) {
    if (!line.json()) Remark("run " + run.run_id() + " queued; Ctrl-C leaves it running");
    auto followed =
        Follow(line, run.run_id(), std::chrono::duration<double>(options.retry_seconds));
    if (!followed) return followed.error();
    run = *std::move(followed);
  }
  if (line.json()) {
    Print(ToJson(run));
  } else if (!options.wait) {
    Print("run " + run.run_id() + "  " + StateName(run.state()) + "\n");
  } else {
    PrintRun(run);
  }
  if (run.state() == v1::RUN_STATE_FAILED || run.state() == v1::RUN_STATE_CANCELLED) {
    Remark("run " + run.run_id() + " " + StateName(run.state()) + ": " + run.reason());
    return ExitStatus::kFailed;
  }
  return ExitStatus::kOk;
}

Result<ExitStatus> List(CommandLine& line, const ListOptions& options) {
  v1::ListRunsRequest request;
  request.set_task(options.task);
  if (!options.state.empty()) {
    std::string name = "RUN_STATE_" + options.state;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    v1::RunState state = v1::RUN_STATE_UNSPECIFIED;
    v1::RunState_Parse(name, &state);
    request.set_state(state);
  }
  const auto list = line.platform().CallList(&Stub::ListRuns, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table(
      {"RUN", "TASK", "STATE", "RECIPE", ">SEED", ">TEST ACCURACY", ">BALANCED", "QUEUED", "WHY"});
  for (const auto& run : list->runs()) {
    table.Add({run.run_id(), run.task(), StateName(run.state()), run.recipe(),
               std::to_string(run.seed()), MetricText(run, "test", "accuracy"),
               MetricText(run, "test", "balanced_accuracy"), FormatTime(run.queued_at()),
               run.reason()});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

Result<ExitStatus> Get(CommandLine& line, const ListOptions& options) {
  v1::GetRunRequest request;
  request.set_run_id(options.run);
  const auto run = line.platform().Call(&Stub::GetRun, request);
  if (!run) return run.error();
  if (line.json()) {
    Print(ToJson(run->run()));
  } else {
    PrintRun(run->run());
  }
  return ExitStatus::kOk;
}

Result<ExitStatus> Wait(CommandLine& line, const ListOptions& options, double retry_seconds) {
  const auto run = Follow(line, options.run, std::chrono::duration<double>(retry_seconds));
  if (!run) return run.error();
  if (line.json()) {
    Print(ToJson(*run));
  } else {
    PrintRun(*run);
  }
  return run->state() == v1::RUN_STATE_SUCCEEDED ? ExitStatus::kOk : ExitStatus::kFailed;
}

Result<ExitStatus> Cancel(CommandLine& line, const ListOptions& options) {
  v1::CancelRunRequest request;
  request.set_run_id(options.run);
  request.set_reason(options.reason);
  const auto run = line.platform().Call(&Stub::CancelRun, request);
  if (!run) return run.error();
  if (line.json()) {
    Print(ToJson(run->run()));
  } else {
    Print("run " + run->run().run_id() + "  " + StateName(run->run().state()) + "\n");
  }
  return ExitStatus::kOk;
}

Result<ExitStatus> ListPredictions(CommandLine& line, const ListOptions& options) {
  v1::ListRunPredictionsRequest request;
  request.set_run_id(options.run);
  request.set_split(options.split);
  request.set_errors_only(options.errors_only);
  const auto list = line.platform().CallList(&Stub::ListRunPredictions, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({"SAMPLE", "SPLIT", "GIVEN", "PREDICTED", ">PROBABILITY"});
  for (const auto& prediction : list->predictions()) {
    float best = 0;
    for (const float probability : prediction.probabilities()) best = std::max(best, probability);
    table.Add({prediction.sample_id(), prediction.split(), prediction.given_class(),
               prediction.predicted_class(), FormatNumber(static_cast<double>(best))});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

Result<ExitStatus> Compare(CommandLine& line, const ListOptions& options) {
  v1::CompareRunsRequest request;
  request.set_run_id(options.run);
  request.set_other_run_id(options.other_run);
  request.set_split(options.split);
  const auto compared = line.platform().Call(&Stub::CompareRuns, request);
  if (!compared) return compared.error();
  if (line.json()) {
    Print(ToJson(*compared));
    return ExitStatus::kOk;
  }
  Table table({"RUN", ">ACCURACY", ">ONLY IT IS RIGHT"});
  table.Add(
      {options.run, FormatNumber(compared->accuracy()), FormatCount(compared->only_first_right())});
  table.Add({options.other_run, FormatNumber(compared->other_accuracy()),
             FormatCount(compared->only_second_right())});
  Print(table.Text());
  Print("McNemar on " + FormatCount(compared->samples()) +
        " samples: p = " + FormatNumber(compared->p_value()) +
        (compared->exact() ? " (exact)" : "") + "\n" + compared->verdict() + "\n");
  return ExitStatus::kOk;
}

}  // namespace

void AddRunCommands(CommandLine& line) {
  const auto train = std::make_shared<TrainOptions>();
  auto* command = line.AddCommand(&line.app(), "train", "Train a model on a dataset version");
  command->add_option("--dataset", train->dataset, "Id, digest, TASK or TASK@VERSION")->required();
  command->add_option("--recipe", train->recipe, "image-linear or image-cnn")->required();
  command->add_option("--seed", train->seed, "Of every random choice")->required();
  command->add_option("--epochs", train->epochs, "At most");
  command->add_option("--batch-size", train->batch_size, "Samples a step");
  command->add_option("--learning-rate", train->learning_rate, "Of the optimiser");
  command->add_option("--weight-decay", train->weight_decay, "Of the optimiser");
  command->add_option("--patience", train->patience, "Epochs without getting better");
  command->add_option("--class-weights", train->class_weights, "true or false");
  command->add_option("--request-id", train->request_id,
                      "Repeating a command with the same id returns the run that is there");
  command->add_flag("--wait{true},--no-wait{false}", train->wait,
                    "Wait for its end (the default), or return once it is queued");
  command
      ->add_option("--retry-for", train->retry_seconds,
                   "Seconds to go on when training does not answer")
      ->check(CLI::Range(0.0, 86'400.0))
      ->capture_default_str();
  line.OnRun(command, [&line, train] { return Train(line, *train); });

  const auto list = std::make_shared<ListOptions>();
  command = line.AddCommand(&line.app(), "runs", "List runs, newest first");
  command->add_option("--task", list->task, "Only of this task");
  command->add_option("--state", list->state, "queued, running, succeeded, failed or cancelled")
      ->check(CLI::IsMember({"queued", "running", "succeeded", "failed", "cancelled"}));
  AddLimit(command, &list->limit);
  line.OnRun(command, [&line, list] { return List(line, *list); });

  auto* group = line.AddGroup("run", "One run");
  const auto get = std::make_shared<ListOptions>();
  command = line.AddCommand(group, "get", "Show a run with its metrics");
  command->add_option("RUN", get->run, "The run's id")->required();
  line.OnRun(command, [&line, get] { return Get(line, *get); });

  const auto wait = std::make_shared<ListOptions>();
  command = line.AddCommand(group, "wait", "Follow a run to its end");
  command->add_option("RUN", wait->run, "The run's id")->required();
  line.OnRun(command, [&line, wait] { return Wait(line, *wait, 60); });

  const auto cancel = std::make_shared<ListOptions>();
  command = line.AddCommand(group, "cancel", "Cancel a run");
  command->add_option("RUN", cancel->run, "The run's id")->required();
  command->add_option("--reason", cancel->reason, "Why");
  line.OnRun(command, [&line, cancel] { return Cancel(line, *cancel); });

  const auto predictions = std::make_shared<ListOptions>();
  command = line.AddCommand(group, "predictions", "List a run's stored predictions");
  command->add_option("RUN", predictions->run, "The run's id")->required();
  command->add_option("--split", predictions->split, "validation or test")
      ->check(CLI::IsMember({"validation", "test"}));
  command->add_flag("--errors", predictions->errors_only, "Only where given and predicted differ");
  AddLimit(command, &predictions->limit);
  line.OnRun(command, [&line, predictions] { return ListPredictions(line, *predictions); });

  const auto compare = std::make_shared<ListOptions>();
  command = line.AddCommand(&line.app(), "compare", "Compare two runs on the same samples");
  command->add_option("RUN", compare->run, "The first run's id")->required();
  command->add_option("OTHER", compare->other_run, "The other run's id")->required();
  command->add_option("--split", compare->split, "validation or test (default)")
      ->check(CLI::IsMember({"validation", "test"}));
  line.OnRun(command, [&line, compare] { return Compare(line, *compare); });
}

}  // namespace tidewheel::cli
