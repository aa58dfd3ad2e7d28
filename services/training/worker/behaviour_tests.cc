#include "tidewheel/training/worker/behaviour_tests.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/training/worker/picture_transform.h"

namespace tidewheel::training {
namespace {

namespace registry = model_registry::v1;

/// The rows of the test split that a test is about, evenly spread.
std::vector<std::uint32_t> RowsOf(const registry::ModelTest& test, const PreparedSplit& split) {
  std::vector<std::uint32_t> rows;
  for (std::size_t row = 0; row < split.items.size(); ++row) {
    const auto& metadata = split.items[row].metadata();
    const auto found = metadata.find(test.metadata_key());
    const bool meant = test.metadata_key().empty() ||
                       (found != metadata.end() && found->second == test.metadata_value());
    if (meant) rows.push_back(static_cast<std::uint32_t>(row));
  }
  if (rows.size() <= kMostTestedSamples) return rows;
  std::vector<std::uint32_t> spread(kMostTestedSamples);
  for (std::size_t i = 0; i < spread.size(); ++i) spread[i] = rows[i * rows.size() / spread.size()];
  return spread;
}

struct Answer {
  std::size_t class_index = 0;
  float confidence = 0;
};

Answer AnswerOf(std::span<const float> probabilities, std::size_t row, std::size_t classes) {
  const auto own = probabilities.subspan(row * classes, classes);
  const auto top = std::max_element(own.begin(), own.end());
  return {static_cast<std::size_t>(top - own.begin()), *top};
}

}  // namespace

Result<std::vector<v1::WorkerTestResult>> TakeBehaviourTests(
    const v1::WorkerJob& job, const ml::Model& model, const vision::PreprocessSpec& preprocessing,
    const PreparedSplit& test, std::span<const float> probabilities,
    const ml::PredictOptions& options, const std::stop_token& stop) {
  std::vector<v1::WorkerTestResult> results;
  if (job.tests().empty()) return results;
  const auto payloads = blob::OpenFileStore(job.payloads_root());
  if (!payloads) return payloads.error();
  const auto classes = static_cast<std::size_t>(job.classes_size());
  const ml::ImageShape shape{preprocessing.channels, preprocessing.height, preprocessing.width};
  const auto labels = test.rows().labels;

  for (const registry::ModelTest& wanted : job.tests()) {
    v1::WorkerTestResult& result = results.emplace_back();
    result.set_name(wanted.name());
    const auto rows = RowsOf(wanted, test);
    if (rows.empty()) {
      result.set_not_evaluated("no test sample has " + wanted.metadata_key() + " = " +
                               wanted.metadata_value());
      continue;
    }
    std::uint64_t passed = 0;
    if (wanted.kind() == registry::MODEL_TEST_KIND_MINIMUM_FUNCTION) {
      for (const std::uint32_t row : rows) {
        const auto given = static_cast<std::size_t>(labels[row]);
        passed += AnswerOf(probabilities, row, classes).class_index == given ? 1 : 0;
      }
    } else if (wanted.kind() == registry::MODEL_TEST_KIND_INVARIANCE ||
               wanted.kind() == registry::MODEL_TEST_KIND_DIRECTION) {
      const auto transform = ParsePictureTransform(wanted.transform());
      if (!transform) {
        result.set_not_evaluated(transform.error().message);
        continue;
      }
      const std::size_t elements = preprocessing.OutputSize();
      const auto batch = static_cast<std::size_t>(options.batch_size);
      for (std::size_t first = 0; first < rows.size(); first += batch) {
        const std::size_t count = std::min(batch, rows.size() - first);
        std::vector<float> input(count * elements);
        for (std::size_t i = 0; i < count; ++i) {
          if (stop.stop_requested()) return Error{ErrorCode::kCancelled, "cancelled"};
          const std::uint32_t row = rows[first + i];
          const auto image = ReadPicture(**payloads, test.items[row]);
          if (!image) return image.error();
          const std::uint64_t seed =
              StableHash(wanted.name() + "#" + std::to_string(test.ordinals[row]), job.seed());
          const auto done =
              vision::Preprocess(Transformed(*image, *transform, wanted.amount(), seed),
                                 preprocessing, std::span(input).subspan(i * elements, elements));
          if (!done) return done.error();
        }
        const std::vector<std::int32_t> nothing(count);
        const auto changed = model.Predict(ml::ViewOf(shape, input, nothing), options, stop);
        if (!changed) return changed.error();
        for (std::size_t i = 0; i < count; ++i) {
          const Answer before = AnswerOf(probabilities, rows[first + i], classes);
          const Answer after = AnswerOf(*changed, i, classes);
          const bool kept = wanted.kind() == registry::MODEL_TEST_KIND_INVARIANCE
                                ? after.class_index == before.class_index
                                : after.confidence <= before.confidence + kSurerTolerance;
          passed += kept ? 1 : 0;
        }
      }
    } else {
      result.set_not_evaluated("the test is of no kind that is known");
      continue;
    }
    result.set_samples(rows.size());
    result.set_passed(passed);
  }
  return results;
}

}  // namespace tidewheel::training
