#include "tidewheel/training/worker/report_pipe.h"

#include <google/protobuf/util/delimited_message_util.h>

namespace tidewheel::training {
namespace {

constexpr std::chrono::milliseconds kInterval{200};

}  // namespace

void ReportPipe::Tell(const v1::Progress& progress) {
  const auto now = std::chrono::steady_clock::now();
  const bool last = progress.steps_total() > 0 && progress.steps_done() >= progress.steps_total();
  if (now < due_ && progress.phase() == phase_ && !last) return;
  due_ = now + kInterval;
  phase_ = progress.phase();
  v1::WorkerReport report;
  *report.mutable_progress() = progress;
  // A service that is gone reads no reports; the kernel ends this process with it.
  (void)google::protobuf::util::SerializeDelimitedToFileDescriptor(report, descriptor_);
}

}  // namespace tidewheel::training
