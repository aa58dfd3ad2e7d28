#include "tidewheel/training/execution/process_launcher.h"

#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <signal.h>

#include <fstream>

#include "tidewheel/training/execution/worker_files.h"
#include "tidewheel/training/execution/worker_process.h"

namespace tidewheel::training {
namespace {

constexpr std::chrono::milliseconds kReportInterval{500};

/// Threads that spin while they wait cost more than they bring on a shared machine.
std::vector<std::string> WorkerEnvironment(std::uint32_t threads) {
  return {"OMP_NUM_THREADS=" + std::to_string(threads), "OMP_WAIT_POLICY=passive"};
}

model_registry::v1::ModelTest ToProto(const BehaviourTest& test) {
  namespace registry = model_registry::v1;
  registry::ModelTest out;
  out.set_name(test.name);
  switch (test.kind) {
    case BehaviourTest::Kind::kMinimumFunction:
      out.set_kind(registry::MODEL_TEST_KIND_MINIMUM_FUNCTION);
      break;
    case BehaviourTest::Kind::kInvariance:
      out.set_kind(registry::MODEL_TEST_KIND_INVARIANCE);
      break;
    case BehaviourTest::Kind::kDirection:
      out.set_kind(registry::MODEL_TEST_KIND_DIRECTION);
      break;
  }
  out.set_metadata_key(test.metadata_key);
  out.set_metadata_value(test.metadata_value);
  out.set_transform(test.transform);
  out.set_amount(test.amount);
  out.set_min_share(test.min_share);
  return out;
}

}  // namespace

std::filesystem::path ProcessLauncher::FolderOf(const std::string& run_id) const {
  return options_.work_folder / run_id;
}

void ProcessLauncher::Remove(const std::string& run_id) {
  std::error_code ignored;
  std::filesystem::remove_all(FolderOf(run_id), ignored);
}

Result<void> ProcessLauncher::Prepare(const Run& run, const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  // A worker that was ended leaves half of everything; its checkpoint alone is whole.
  std::vector<std::filesystem::path> leftovers;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    if (at->path().filename() != kCheckpointFile) leftovers.push_back(at->path());
  }
  for (const auto& path : leftovers) {
    if (!error) std::filesystem::remove_all(path, error);
  }
  if (error) {
    return Error{ErrorCode::kFailedPrecondition, folder.string() + ": " + error.message()};
  }

  auto preprocessing = preprocessing_.Find(run.dataset.task);
  if (!preprocessing) return preprocessing.error();
  const auto gate = preprocessing_.FindGate(run.dataset.task);
  if (!gate) return gate.error();
  v1::WorkerJob job;
  job.set_run_id(run.id);
  job.set_task(run.dataset.task);
  for (const auto& name : run.dataset.classes) job.add_classes(name);
  job.set_recipe(run.request.recipe);
  job.set_seed(run.request.seed);
  *job.mutable_hyperparameters() = ToProto(run.request.hyperparameters);
  job.set_dataset_version_id(run.dataset.id);
  job.set_dataset_digest(run.dataset.digest);
  job.mutable_preprocessing()->insert(preprocessing->begin(), preprocessing->end());
  job.set_payloads_root(std::filesystem::absolute(options_.payloads_root).string());
  job.set_items_file((folder / kItemsFile).string());
  job.set_items(run.dataset.items);
  job.set_threads(options_.threads);
  if (run.request.baseline) {
    for (const auto& file : run.request.baseline->files) {
      auto* added = job.add_baseline_files();
      added->set_name(file.name);
      added->set_payload_ref(file.payload_ref);
    }
  }
  for (const auto& test : gate->tests) *job.add_tests() = ToProto(test);
  if (gate->max_loss) job.set_max_loss(*gate->max_loss);
  if (gate->alpha) job.set_alpha(*gate->alpha);

  std::ofstream items(folder / kItemsFile, std::ios::binary);
  {
    google::protobuf::io::OstreamOutputStream stream(&items);
    const auto written =
        store_.ForEachItem(run.dataset.id, [&](const DatasetItem& item) -> Result<void> {
          v1::WorkerItem out;
          out.set_payload_ref(item.payload_ref);
          out.set_class_index(item.class_index);
          out.set_split(item.split);
          out.set_weight(item.weight);
          out.mutable_metadata()->insert(item.metadata.begin(), item.metadata.end());
          google::protobuf::util::SerializeDelimitedToZeroCopyStream(out, &stream);
          return {};
        });
    if (!written) return written;
  }
  items.close();
  std::ofstream job_file(folder / kJobFile, std::ios::binary);
  job.SerializeToOstream(&job_file);
  job_file.close();
  if (!items || !job_file) {
    return Error{ErrorCode::kResourceExhausted,
                 "the job of run " + run.id + " cannot be written to " + folder.string()};
  }
  return {};
}

Result<WorkerEnd> ProcessLauncher::Launch(const Run& run,
                                          const std::function<bool(const Progress&)>& on_progress) {
  const auto folder = std::filesystem::absolute(FolderOf(run.id));
  if (const auto prepared = Prepare(run, folder); !prepared) return prepared.error();
  auto process = WorkerProcess::Start(
      {options_.program.string(), "--job", (folder / kJobFile).string()},
      WorkerEnvironment(options_.threads), options_.work_folder / (run.id + ".log"));
  if (!process) return process.error();

  WorkerEnd end;
  end.folder = (folder / kPackageFolder).string();
  ReportReader reports;
  Progress progress{"preparing", 0, run.dataset.items, 0, 0, 0, 0, 0, 0};
  auto report_due = std::chrono::steady_clock::now();
  auto kill_due = std::chrono::steady_clock::time_point::max();
  std::optional<int> status;
  while (!status) {
    if (const auto bytes = process->Read(std::chrono::milliseconds(100)); bytes) {
      if (const auto newest = reports.Add(*bytes)) progress = *newest;
    }
    status = process->Ended();
    const auto now = std::chrono::steady_clock::now();
    if (now >= report_due && !on_progress(progress) && !end.stopped) {
      end.stopped = true;
      kill_due = now + options_.stop_grace;
      process->Signal(SIGTERM);
    }
    if (now >= report_due) report_due = now + kReportInterval;
    if (now >= kill_due) process->Signal(SIGKILL);
  }

  auto outcome = ReadOutcome(folder);
  if (outcome) {
    end.outcome = *std::move(outcome);
  } else if (outcome.error().code == ErrorCode::kFailedPrecondition) {
    end.failure = outcome.error().message;
  } else {
    end.failure = "the worker " + DescribeEnd(*status) + " without a result";
  }
  return end;
}

}  // namespace tidewheel::training
