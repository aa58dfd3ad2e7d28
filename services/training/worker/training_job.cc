#include "tidewheel/training/worker/training_job.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/util/delimited_message_util.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>

#include "tidewheel/base/build_identity.h"
#include "tidewheel/log/log.h"
#include "tidewheel/ml/graph/architecture.h"
#include "tidewheel/ml/graph/embedding.h"
#include "tidewheel/ml/package_writer.h"
#include "tidewheel/ml/train.h"
#include "tidewheel/ml/variants/variants.h"
#include "tidewheel/training/worker/baseline_model.h"
#include "tidewheel/training/worker/behaviour_tests.h"
#include "tidewheel/training/worker/evaluation.h"
#include "tidewheel/training/worker/prepared_data.h"
#include "tidewheel/training/worker/reference_profile.h"
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
  // Beside a serving version: what is new is little, and least of all in the validation split,
  // which would choose the epoch by what was known before.
  if (!job.baseline_files().empty() && !asked.has_patience()) {
    options->keep_last = true;
    options->patience = 0;
  }
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

/// Everything that the weights depend on: the job, whose data set's version never changes, and the
/// program.
std::string IdentityOf(const v1::WorkerJob& job, const BuildIdentity& build) {
  std::string text;
  {
    google::protobuf::io::StringOutputStream stream(&text);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    job.SerializeToCodedStream(&out);
  }
  return std::string(build.commit) + "/" + std::string(build.version) + "/" + text;
}

/// A split that the model has not seen, with what it answers.
struct HeldOut {
  std::string name;
  const PreparedSplit* split = nullptr;
  ml::TensorDataset rows;
  std::vector<float> probabilities{};  // Rows x classes.
  std::vector<float> baseline{};       // The same of the serving version; empty without one.
  std::vector<float> embedding{};      // Rows x numbers.
};

/// Appends the split's probabilities, a message a row.
void WritePredictions(const HeldOut& held_out, std::size_t classes,
                      google::protobuf::io::ZeroCopyOutputStream* stream) {
  for (std::size_t row = 0; row < held_out.split->ordinals.size(); ++row) {
    const auto p = std::span(held_out.probabilities).subspan(row * classes, classes);
    v1::WorkerPrediction prediction;
    prediction.set_ordinal(held_out.split->ordinals[row]);
    prediction.set_predicted_class_index(
        static_cast<std::uint32_t>(std::max_element(p.begin(), p.end()) - p.begin()));
    prediction.mutable_probabilities()->Add(p.begin(), p.end());
    if (!held_out.baseline.empty()) {
      const auto b = std::span(held_out.baseline).subspan(row * classes, classes);
      prediction.mutable_baseline_probabilities()->Add(b.begin(), b.end());
    }
    google::protobuf::util::SerializeDelimitedToZeroCopyStream(prediction, stream);
  }
}

/// Fills in what both models answer.
Result<void> AnswerHeldOut(const v1::WorkerJob& job, const ml::Model& model,
                           const vision::PreprocessSpec& spec, const ml::PredictOptions& options,
                           const std::filesystem::path& folder, std::span<HeldOut> held_out,
                           ReportPipe& reports, const std::stop_token& stop) {
  std::optional<BaselineModel> baseline;
  if (!job.baseline_files().empty()) {
    auto loaded = BaselineModel::Load(job, folder / "baseline");
    if (!loaded) return Prefixed("the serving version: ", loaded.error());
    baseline = *std::move(loaded);
  }
  std::uint64_t evaluated = 0;
  for (HeldOut& split : held_out) {
    reports.Tell(PhaseOf("evaluating", evaluated++, held_out.size() + 1));
    auto probabilities = model.Predict(split.rows, options, stop);
    if (!probabilities) return probabilities.error();
    split.probabilities = *std::move(probabilities);
    auto embedding = model.Embed(split.rows, options, stop);
    if (!embedding) return embedding.error();
    split.embedding = *std::move(embedding);
    if (!baseline) continue;
    auto answered = baseline->Answer(*split.split, spec, stop);
    if (!answered) {
      // A caller that asked to stop wants to hear that it did.
      if (answered.error().code == ErrorCode::kCancelled) return answered.error();
      return Prefixed("the serving version: ", answered.error());
    }
    split.baseline = *std::move(answered);
  }
  return {};
}

/// The package's variants, each judged by what the model in float32 answered on the validation
/// rows, by the task's gate.
Result<void> AddVariants(const v1::WorkerJob& job, const std::filesystem::path& package,
                         const ml::TensorDataset& training, const HeldOut& validation,
                         std::size_t classes) {
  ml::VariantOptions options;
  if (job.has_max_loss()) options.max_loss = job.max_loss();
  if (job.has_alpha()) options.alpha = job.alpha();
  const auto source_of = [](const ml::TensorDataset& rows) {
    return ml::RowSource{rows.rows(), [rows](std::span<const std::uint32_t> indices, float* out) {
                           rows.CopyRows(indices, out);
                         }};
  };
  std::vector<std::int32_t> answers;
  for (std::size_t row = 0; row < validation.rows.rows(); ++row) {
    const auto p = std::span(validation.probabilities).subspan(row * classes, classes);
    answers.push_back(static_cast<std::int32_t>(std::max_element(p.begin(), p.end()) - p.begin()));
  }
  const auto added = ml::AddVariants(
      package, source_of(training),
      {.rows = source_of(validation.rows), .labels = validation.rows.labels, .answers = answers},
      options);
  if (!added) return added.error();
  return {};
}

/// profile.pb of the package.
Result<std::string> ProfileOf(const v1::WorkerJob& job, const ml::Model& model,
                              const PreparedData& data, std::span<const HeldOut> held_out,
                              const ml::PredictOptions& options, const std::stop_token& stop) {
  ProfileSource source;
  source.classes = {job.classes().begin(), job.classes().end()};
  source.features = data.measures;
  source.training_features = data.training.measures;
  source.embedding_numbers = static_cast<std::uint32_t>(model.architecture()->embedding);
  source.projection_seed = ml::ProjectionSeed(*model.architecture());
  source.seed = job.seed();
  std::size_t held_out_rows = 0;
  for (const HeldOut& split : held_out) {
    source.held_out.push_back({.split = split.name,
                               .given = {split.rows.labels.begin(), split.rows.labels.end()},
                               .features = split.split->measures,
                               .probabilities = split.probabilities,
                               .embedding = split.embedding});
    held_out_rows += split.rows.rows();
  }

  const ml::TensorDataset training = data.training.rows();
  const auto sampled = SampleTrainingRows(data.training.ordinals.size(), held_out_rows, job.seed());
  ProfiledRows& sample = source.training_sample;
  sample.split = "training";
  if (!sampled.empty()) {
    std::vector<float> input(sampled.size() * training.shape.elements());
    training.CopyRows(sampled, input.data());
    for (const std::uint32_t row : sampled) {
      sample.given.push_back(training.labels[row]);
      const auto first =
          data.training.measures.begin() + static_cast<std::ptrdiff_t>(row * data.measures.size());
      sample.features.insert(sample.features.end(), first,
                             first + static_cast<std::ptrdiff_t>(data.measures.size()));
    }
    const auto rows = ml::ViewOf(training.shape, input, sample.given);
    auto probabilities = model.Predict(rows, options, stop);
    if (!probabilities) return probabilities.error();
    sample.probabilities = *std::move(probabilities);
    auto embedding = model.Embed(rows, options, stop);
    if (!embedding) return embedding.error();
    sample.embedding = *std::move(embedding);
  }
  const auto profile = MakeReferenceProfile(source);
  if (!profile) return profile.error();
  return PrintProfile(*profile);
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
      job.recipe(), {spec->channels, spec->height, spec->width}, static_cast<int>(classes.size()),
      job.embedding_numbers() > 0 ? static_cast<int>(job.embedding_numbers())
                                  : ml::kDefaultEmbeddingNumbers);
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
  const BuildIdentity build = CurrentBuild();
  const ml::Checkpoint checkpoint{.file = folder / "checkpoint.pt",
                                  .identity = IdentityOf(job, build)};
  auto trained = ml::Train(*architecture, *options, training, validation, sink, stop, checkpoint);
  if (!trained) return trained.error();
  if (trained->resumed_rows > 0) {
    log::Info("training went on from its checkpoint", {{"rows", trained->resumed_rows}});
  }
  if (!trained->checkpoint_problem.empty()) {
    log::Warning("checkpoint is of no use", {{"problem", trained->checkpoint_problem}});
  }

  v1::WorkerResult result;
  *result.mutable_hyperparameters() = EffectiveOf(*options, weighted);
  result.set_best_epoch(static_cast<std::uint32_t>(trained->best_epoch));
  result.set_training_seconds(trained->seconds);
  result.set_cpu_seconds(trained->earlier_cpu_seconds);
  result.set_code_version(std::string(build.commit));
  result.set_code_clean(build.clean);
  result.set_build(std::string(build.version) + " " + std::string(build.build_type));

  const ml::PredictOptions predicting{.threads = options->threads};
  std::array<HeldOut, 2> held_out = {
      HeldOut{.name = "validation", .split = &data->validation, .rows = validation},
      HeldOut{.name = "test", .split = &data->test, .rows = test}};
  const auto answered =
      AnswerHeldOut(job, trained->model, *spec, predicting, folder, held_out, reports, stop);
  if (!answered) return answered.error();
  std::ofstream predictions(folder / "predictions.pb", std::ios::binary);
  {
    google::protobuf::io::OstreamOutputStream stream(&predictions);
    for (const HeldOut& split : held_out) {
      const auto evaluation = Evaluate(split.name, split.rows.labels, split.probabilities, classes);
      if (!evaluation) return evaluation.error();
      *result.add_evaluations() = *evaluation;
      WritePredictions(split, classes.size(), &stream);
    }
  }
  predictions.close();
  if (!predictions) {
    return Error{ErrorCode::kResourceExhausted,
                 "the predictions cannot be written to " + folder.string()};
  }

  reports.Tell(PhaseOf("evaluating", held_out.size(), held_out.size() + 1));
  const auto tests = TakeBehaviourTests(job, trained->model, *spec, data->test,
                                        held_out[1].probabilities, predicting, stop);
  if (!tests) return tests.error();
  result.mutable_tests()->Add(tests->begin(), tests->end());

  reports.Tell(PhaseOf("packaging", 0, 1));
  auto profile = ProfileOf(job, trained->model, *data, held_out, predicting, stop);
  if (!profile) return profile.error();
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
  contents.profile = *std::move(profile);
  contents.samples = validation;
  const auto package = folder / "package";
  if (const auto written = ml::WritePackage(package, trained->model, contents); !written) {
    return Prefixed("package: ", written.error());
  }
  if (const auto added = AddVariants(job, package, training, held_out[0], classes.size()); !added) {
    return Prefixed("package: variants: ", added.error());
  }
  for (const auto& file : std::filesystem::directory_iterator(package)) {
    result.add_package_files(file.path().filename().string());
  }
  reports.Tell(PhaseOf("packaging", 1, 1));
  return result;
}

}  // namespace tidewheel::training
