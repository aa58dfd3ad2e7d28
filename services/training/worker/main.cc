#include <signal.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stop_token>
#include <thread>

#include "tidewheel/base/build_identity.h"
#include "tidewheel/base/shutdown_signal.h"
#include "tidewheel/log/log.h"
#include "tidewheel/ml/threading.h"
#include "tidewheel/training/worker/training_job.h"

namespace {

constexpr int kReportDescriptor = 3;

/// Written aside and renamed: a result is whole or not there.
bool WriteResult(const std::filesystem::path& folder,
                 const tidewheel::training::v1::WorkerResult& result) {
  const auto partial = folder / "result.pb.part";
  std::ofstream file(partial, std::ios::binary);
  result.SerializeToOstream(&file);
  file.close();
  std::error_code error;
  std::filesystem::rename(partial, folder / "result.pb", error);
  return file.good() && !error;
}

/// Of all threads of this process so far, in the kernel too.
double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

/// Runs one training and ends: 0 with a result (also one that says why it failed), 1 without, 2 on
/// a wrong command line.
int main(int argc, char** argv) {
  const tidewheel::ShutdownSignal shutdown;  // First: every thread must inherit its signal mask.
  CLI::App app("Trains one run; started by tidewheel-training.");
  std::string job_file;
  app.add_option("--job", job_file, "The job as the service wrote it")
      ->required()
      ->check(CLI::ExistingFile);
  app.set_version_flag("--version", std::string(tidewheel::CurrentBuild().version));
  CLI11_PARSE(app, argc, argv);
  tidewheel::log::Initialise("train-worker");

  tidewheel::training::v1::WorkerJob job;
  std::ifstream file(job_file, std::ios::binary);
  if (!job.ParseFromIstream(&file)) {
    return tidewheel::log::Fatal({tidewheel::ErrorCode::kInvalidArgument, job_file + " is no job"});
  }
  for (const auto& warning : tidewheel::ml::CheckThreading(static_cast<int>(job.threads()))) {
    tidewheel::log::Warning("threads are not set up well", {{"problem", warning}});
  }

  std::stop_source stop;
  std::jthread waiter([&](std::stop_token /*done*/) {
    shutdown.Wait();
    stop.request_stop();
  });
  const auto folder = std::filesystem::path(job_file).parent_path();
  tidewheel::training::ReportPipe reports(kReportDescriptor);
  auto result = tidewheel::training::RunJob(job, folder, reports, stop.get_token());
  pthread_kill(waiter.native_handle(), SIGTERM);  // Lets the waiter go.
  waiter.join();

  if (!result && result.error().code == tidewheel::ErrorCode::kCancelled) return 1;
  tidewheel::training::v1::WorkerResult answer;
  if (result) {
    answer = *std::move(result);
  } else {
    tidewheel::log::Warning("run failed", {{"error", result.error()}});
    answer.set_failure(result.error().message);
  }
  // Processes that were ended before this one worked for it too.
  answer.set_cpu_seconds(answer.cpu_seconds() + CpuSeconds());
  return WriteResult(folder, answer) ? 0 : 1;
}
