#include "tidewheel/training/worker/training_job.h"

#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/util/delimited_message_util.h>

#include <algorithm>
#include <fstream>

#include "tidewheel/base/build_identity.h"
#include "tidewheel/ml/graph/architecture.h"
#include "tidewheel/ml/package_writer.h"
#include "tidewheel/ml/train.h"
#include "tidewheel/training/worker/evaluation.h"
#include "tidewheel/training/worker/prepared_data.h"
#include "tidewheel/vision/preprocess_entries.h"

namespace tidewheel::training {
namespace {

/// Passes the training's progress on.
class TrainingReports final : public ml::ProgressSink {
 public:
  explicit TrainingReports(ReportPipe& reports) : reports_(reports) {}

  void Report(const ml::TrainingProgress& progress) override {
    if (progress.finished_epoch && progress.finished_epoch->validation) {
      validation_ = progress.finished_epoch->validation->balanced_accuracy;
    }
    v1::Progress out;
    out.set_phase("training");
    const auto before =
        static_cast<std::uint64_t>(progress.epoch - 1) * static_cast<std::uint64_t>(progress.steps);
    out.set_steps_done(before + static_cast<std::uint64_t>(progress.step));
    out.set_steps_total(static_cast<std::uint64_t>(progress.epochs) *
                        static_cast<std::uint64_t>(progress.steps));
    out.set_epoch(static_cast<std::uint32_t>(progress.epoch));
    out.set_epochs(static_cast<std::uint32_t>(progress.epochs));
    out.set_training_loss(progress.training_loss);
    out.set_validation_metric(validation_);
    out.set_samples_per_second(progress.samples_per_second);
    out.set_seconds_left(progress.remaining.count());
    reports_.Tell(out);
  }

 private:
  ReportPipe& reports_;
  double validation_ = 0;
};

v1::Progress PhaseOf(const std::string& phase, std::uint64_t done, std::uint64_t total) {
  v1::Progress progress;
  progress.set_phase(phase);
  progress.set_steps_done(done);
  progress.set_steps_total(total);
  return progress;
}

Result<ml::TrainOptions> OptionsOf(const v1::WorkerJob& job, std::size_t training_rows) {
  auto options = ml::RecipeDefaults(job.recipe(), training_rows);
  if (!options) return options;
  const v1::Hyperparameters& asked = job.hyperparameters();
  options->seed = job.seed();
  options->threads = static_cast<int>(job.threads());
  if (asked.has_epochs()) options->epochs = static_cast<int>(asked.epochs());
  if (asked.has_batch_size()) options->batch_size = static_cast<int>(asked.batch_size());
  if (asked.has_learning_rate()) options->learning_rate = asked.learning_rate();
  if (asked.has_weight_decay()) options->weight_decay = asked.weight_decay();
  if (asked.has_patience()) options->patience = static_cast<int>(asked.patience());
  return options;
}

v1::Hyperparameters EffectiveOf(const ml::TrainOptions& options, bool class_weights) {
  v1::Hyperparameters out;
  out.set_epochs(static_cast<std::uint32_t>(options.epochs));
  out.set_batch_size(static_cast<std::uint32_t>(options.batch_size));
  out.set_learning_rate(options.learning_rate);
  out.set_weight_decay(options.weight_decay);
  out.set_patience(static_cast<std::uint32_t>(options.patience));
  out.set_class_weights(class_weights);
  return out;
}

/// Appends the split's probabilities, a message a row.
void WritePredictions(const PreparedSplit& split, std::span<const float> probabilities,
                      std::size_t classes, google::protobuf::io::ZeroCopyOutputStream* stream) {
  for (std::size_t row = 0; row < split.ordinals.size(); ++row) {
    const auto p = probabilities.subspan(row * classes, classes);
    v1::WorkerPrediction prediction;
    prediction.set_ordinal(split.ordinals[row]);
    prediction.set_predicted_class_index(
        static_cast<std::uint32_t>(std::max_element(p.begin(), p.end()) - p.begin()));
    prediction.mutable_probabilities()->Add(p.begin(), p.end());
    google::protobuf::util::SerializeDelimitedToZeroCopyStream(prediction, stream);
  }
}

}  // namespace

Result<v1::WorkerResult> RunJob(const v1::WorkerJob& job, const std::filesystem::path& folder,
                                ReportPipe& reports, const std::stop_token& stop) {
  const std::vector<std::string> classes(job.classes().begin(), job.classes().end());
  const auto spec = vision::FromEntries({job.preprocessing().begin(), job.preprocessing().end()});
  if (!spec) return spec.error();
  const auto data = PrepareData(job, *spec, folder, reports, stop);
  if (!data) return data.error();

  auto architecture = ml::MakeArchitecture(
      job.recipe(), {spec->channels, spec->height, spec->width}, static_cast<int>(classes.size()));
  if (!architecture) return architecture.error();
  const auto options = OptionsOf(job, data->training.ordinals.size());
  if (!options) return options.error();
  // The dataset version carries the class weights, sample by sample.
  const bool weighted =
      !job.hyperparameters().has_class_weights() || job.hyperparameters().class_weights();
  ml::TensorDataset training = data->training.rows();
  if (!weighted) training.weights = {};
  ml::TensorDataset validation = data->validation.rows();
  validation.weights = {};
  ml::TensorDataset test = data->test.rows();
  test.weights = {};

  TrainingReports sink(reports);
  auto trained = ml::Train(*architecture, *options, training, validation, sink, stop);
  if (!trained) return trained.error();

  const BuildIdentity build = CurrentBuild();
  v1::WorkerResult result;
  *result.mutable_hyperparameters() = EffectiveOf(*options, weighted);
  result.set_best_epoch(static_cast<std::uint32_t>(trained->best_epoch));
  result.set_training_seconds(trained->seconds);
  result.set_code_version(std::string(build.commit));
  result.set_code_clean(build.clean);
  result.set_build(std::string(build.version) + " " + std::string(build.build_type));

  std::ofstream predictions(folder / "predictions.pb", std::ios::binary);
  {
    google::protobuf::io::OstreamOutputStream stream(&predictions);
    std::uint64_t evaluated = 0;
    for (const auto& [name, split, rows] : {std::tuple{"validation", &data->validation, validation},
                                            std::tuple{"test", &data->test, test}}) {
      reports.Tell(PhaseOf("evaluating", evaluated++, 2));
      const auto probabilities = trained->model.Predict(rows, {.threads = options->threads}, stop);
      if (!probabilities) return probabilities.error();
      const auto evaluation = Evaluate(name, rows.labels, *probabilities, classes);
      if (!evaluation) return evaluation.error();
      *result.add_evaluations() = *evaluation;
      WritePredictions(*split, *probabilities, classes.size(), &stream);
    }
  }
  predictions.close();
  if (!predictions) {
    return Error{ErrorCode::kResourceExhausted,
                 "the predictions cannot be written to " + folder.string()};
  }

  reports.Tell(PhaseOf("packaging", 0, 1));
  ml::PackageContents contents;
  contents.manifest.task = job.task();
  contents.manifest.recipe = job.recipe();
  contents.manifest.classes = classes;
  contents.manifest.preprocessing = {job.preprocessing().begin(), job.preprocessing().end()};
  contents.manifest.run_id = job.run_id();
  contents.manifest.dataset_digest = job.dataset_digest();
  contents.manifest.code_version = result.code_version() + (build.clean ? "" : "+changes");
  contents.manifest.seed = job.seed();
  const std::vector<v1::Evaluation> evaluations(result.evaluations().begin(),
                                                result.evaluations().end());
  contents.evaluation_json = EvaluationJson(evaluations);
  contents.card_markdown = ModelCard(job, result);
  contents.samples = validation;
  const auto package = folder / "package";
  if (const auto written = ml::WritePackage(package, trained->model, contents); !written) {
    return Prefixed("package: ", written.error());
  }
  for (const auto& file : std::filesystem::directory_iterator(package)) {
    result.add_package_files(file.path().filename().string());
  }
  reports.Tell(PhaseOf("packaging", 1, 1));
  return result;
}

}  // namespace tidewheel::training
