#include "tidewheel/training/execution/worker_files.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/util/delimited_message_util.h>

#include <fstream>

namespace tidewheel::training {

Progress FromProto(const v1::Progress& progress) {
  return {progress.phase(),
          progress.steps_done(),
          progress.steps_total(),
          progress.epoch(),
          progress.epochs(),
          progress.training_loss(),
          progress.validation_metric(),
          progress.samples_per_second(),
          progress.seconds_left()};
}

v1::Hyperparameters ToProto(const Hyperparameters& hyperparameters) {
  v1::Hyperparameters out;
  if (hyperparameters.epochs) out.set_epochs(*hyperparameters.epochs);
  if (hyperparameters.batch_size) out.set_batch_size(*hyperparameters.batch_size);
  if (hyperparameters.learning_rate) out.set_learning_rate(*hyperparameters.learning_rate);
  if (hyperparameters.weight_decay) out.set_weight_decay(*hyperparameters.weight_decay);
  if (hyperparameters.patience) out.set_patience(*hyperparameters.patience);
  if (hyperparameters.class_weights) out.set_class_weights(*hyperparameters.class_weights);
  return out;
}

Hyperparameters FromProto(const v1::Hyperparameters& in) {
  Hyperparameters out;
  if (in.has_epochs()) out.epochs = in.epochs();
  if (in.has_batch_size()) out.batch_size = in.batch_size();
  if (in.has_learning_rate()) out.learning_rate = in.learning_rate();
  if (in.has_weight_decay()) out.weight_decay = in.weight_decay();
  if (in.has_patience()) out.patience = in.patience();
  if (in.has_class_weights()) out.class_weights = in.class_weights();
  return out;
}

v1::Evaluation ToProto(const Evaluation& evaluation) {
  v1::Evaluation out;
  out.set_split(evaluation.split);
  out.set_samples(evaluation.samples);
  for (const auto& metric : evaluation.metrics) {
    auto* added = out.add_metrics();
    added->set_name(metric.name);
    added->set_value(metric.value);
    added->set_low(metric.low);
    added->set_high(metric.high);
    added->set_interval(metric.interval);
  }
  out.mutable_confusion()->Add(evaluation.confusion.begin(), evaluation.confusion.end());
  return out;
}

Evaluation FromProto(const v1::Evaluation& evaluation) {
  Evaluation out;
  out.split = evaluation.split();
  out.samples = evaluation.samples();
  for (const auto& metric : evaluation.metrics()) {
    out.metrics.push_back(
        {metric.name(), metric.value(), metric.low(), metric.high(), metric.interval()});
  }
  out.confusion = {evaluation.confusion().begin(), evaluation.confusion().end()};
  return out;
}

std::optional<Progress> ReportReader::Add(const std::string& bytes) {
  pending_ += bytes;
  std::optional<Progress> newest;
  std::size_t used = 0;
  while (used < pending_.size()) {
    google::protobuf::io::CodedInputStream stream(
        reinterpret_cast<const std::uint8_t*>(pending_.data()) + used,
        static_cast<int>(pending_.size() - used));
    std::uint32_t size = 0;
    if (!stream.ReadVarint32(&size)) break;
    const std::size_t start = used + static_cast<std::size_t>(stream.CurrentPosition());
    if (pending_.size() - start < size) break;
    v1::WorkerReport report;
    if (report.ParseFromArray(pending_.data() + start, static_cast<int>(size))) {
      newest = FromProto(report.progress());
    }
    used = start + size;
  }
  pending_.erase(0, used);
  return newest;
}

Result<RunOutcome> ReadOutcome(const std::filesystem::path& folder) {
  std::ifstream file(folder / kResultFile, std::ios::binary);
  if (!file) return Error{ErrorCode::kNotFound, "the worker left no result"};
  v1::WorkerResult result;
  if (!result.ParseFromIstream(&file)) {
    return Error{ErrorCode::kInvalidArgument, "the worker's result cannot be read"};
  }
  if (!result.failure().empty()) return Error{ErrorCode::kFailedPrecondition, result.failure()};

  RunOutcome outcome;
  outcome.effective = FromProto(result.hyperparameters());
  for (const auto& evaluation : result.evaluations()) {
    outcome.evaluations.push_back(FromProto(evaluation));
  }
  outcome.best_epoch = result.best_epoch();
  outcome.training_seconds = result.training_seconds();
  outcome.code_version = result.code_version();
  outcome.code_clean = result.code_clean();
  outcome.build = result.build();
  for (const auto& test : result.tests()) {
    outcome.tests.push_back({test.name(), test.samples(), test.passed(), test.not_evaluated()});
  }
  outcome.cpu_seconds = result.cpu_seconds();

  std::ifstream predictions(folder / kPredictionsFile, std::ios::binary);
  google::protobuf::io::IstreamInputStream stream(&predictions);
  v1::WorkerPrediction prediction;
  bool at_end = false;
  while (google::protobuf::util::ParseDelimitedFromZeroCopyStream(&prediction, &stream, &at_end)) {
    RunPrediction& added = outcome.predictions.emplace_back();
    added.ordinal = prediction.ordinal();
    added.predicted_class = prediction.predicted_class_index();
    added.probabilities = {prediction.probabilities().begin(), prediction.probabilities().end()};
    added.baseline_probabilities = {prediction.baseline_probabilities().begin(),
                                    prediction.baseline_probabilities().end()};
    prediction.Clear();  // The next one is merged into it: a zero is not on the wire.
  }
  if (!at_end) {
    return Error{ErrorCode::kInvalidArgument, "the worker's predictions cannot be read"};
  }
  return outcome;
}

}  // namespace tidewheel::training
