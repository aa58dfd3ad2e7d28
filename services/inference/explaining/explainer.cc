#include "tidewheel/inference/explaining/explainer.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "tidewheel/explain/integrated_gradients.h"
#include "tidewheel/explain/lime.h"
#include "tidewheel/explain/occlusion.h"
#include "tidewheel/explain/superpixels.h"
#include "tidewheel/stats/moments.h"

namespace tidewheel::inference {
namespace {

constexpr std::size_t kPictureSamples = 1'000;
constexpr std::size_t kRowSamples = 5'000;
constexpr std::size_t kBatch = 32;

Error Invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

class Explaining {
 public:
  Explaining(ExplainableModel& model, const ExplainRequest& request, const std::stop_token& stop)
      : model_(model), request_(request) {
    budget_.batch = kBatch;
    budget_.deadline = std::chrono::steady_clock::now() + request.time;
    budget_.stop = stop;
  }

  Result<Explanation> Run() {
    const auto began = std::chrono::steady_clock::now();
    if (auto found = FindInput(); !found.ok()) return found.error();
    if (auto found = FindClass(); !found.ok()) return found.error();
    auto explained = ByMethod();
    if (!explained.ok()) return explained.error();
    explanation_.model_version_id = model_.identity().model_version_id;
    explanation_.model_version = model_.identity().model_version;
    explanation_.class_name = model_.identity().classes[class_];
    explanation_.probability = probability_;
    explanation_.took = std::chrono::steady_clock::now() - began;
    return std::move(explanation_);
  }

 private:
  Result<void> FindInput() {
    if (request_.row) {
      input_ = *request_.row;
    } else {
      auto prepared = model_.Prepare(request_.picture);
      if (!prepared.ok()) return prepared.error();
      input_ = *std::move(prepared);
    }
    row_shape_.assign(input_.shape.begin() + 1, input_.shape.end());
    return {};
  }

  Result<void> FindClass() {
    const auto& classes = model_.identity().classes;
    std::vector<float> probabilities(classes.size());
    if (auto asked = model_.Ask(row_shape_, input_.values, 1, probabilities); !asked.ok()) {
      return asked;
    }
    if (request_.class_name.empty()) {
      class_ = static_cast<std::size_t>(
          std::max_element(probabilities.begin(), probabilities.end()) - probabilities.begin());
    } else {
      const auto found = std::find(classes.begin(), classes.end(), request_.class_name);
      if (found == classes.end()) {
        return Invalid("task " + request_.task + " has no class " + request_.class_name);
      }
      class_ = static_cast<std::size_t>(found - classes.begin());
    }
    probability_ = static_cast<double>(probabilities[class_]);
    return {};
  }

  bool is_picture() const { return row_shape_.size() == 3; }

  Result<void> ByMethod() {
    explanation_.method =
        request_.method == ExplanationMethod::kUsual ? ExplanationMethod::kLime : request_.method;
    if (is_picture()) {
      explanation_.height = static_cast<std::size_t>(row_shape_[1]);
      explanation_.width = static_cast<std::size_t>(row_shape_[2]);
    }
    switch (explanation_.method) {
      case ExplanationMethod::kIntegratedGradients:
        return ByGradients();
      case ExplanationMethod::kOcclusion:
        return ByOcclusion();
      default:
        return is_picture() ? BySuperpixels() : ByColumns();
    }
  }

  explain::Planes Planes() const {
    return {input_.values, static_cast<std::size_t>(row_shape_[0]), explanation_.height,
            explanation_.width};
  }

  /// Asks about rows in the model's units.
  explain::AnswerRows Answers() {
    return [this](std::span<const float> rows, std::size_t count,
                  std::span<double> answers) -> Result<void> {
      const std::size_t classes = model_.identity().classes.size();
      probabilities_.resize(count * classes);
      if (auto asked = model_.Ask(row_shape_, rows, count, probabilities_); !asked.ok()) {
        return asked;
      }
      for (std::size_t i = 0; i < count; ++i) {
        answers[i] = static_cast<double>(probabilities_[i * classes + class_]);
      }
      return {};
    };
  }

  explain::LimeOptions Options(std::size_t usual_samples) const {
    explain::LimeOptions options;
    options.samples = request_.samples > 0 ? request_.samples : usual_samples;
    options.most = request_.most;
    options.seed = request_.seed;
    return options;
  }

  Result<void> Take(Result<explain::LocalExplanation> explained, std::size_t samples) {
    if (!explained.ok()) return explained.error();
    for (const auto& each : explained->attributions) {
      explanation_.parts.push_back({each.part, each.weight, each.standard_error});
    }
    explanation_.r_squared = explained->r_squared;
    explanation_.asked = explained->asked;
    explanation_.possible = samples;
    explanation_.complete = explained->complete;
    return {};
  }

  Result<void> BySuperpixels() {
    const explain::Planes planes = Planes();
    explain::SuperpixelOptions wanted;
    wanted.wanted = std::min(wanted.wanted, planes.height * planes.width);
    const auto regions = explain::FindSuperpixels(planes, wanted);
    if (!regions.ok()) return regions.error();
    const auto means = explain::RegionMeans(planes, *regions);
    const auto answers = Answers();
    std::vector<float> rows;
    const explain::AnswerMasks by_mask = [&](std::span<const std::uint8_t> kept, std::size_t count,
                                             std::span<double> out) -> Result<void> {
      const std::size_t numbers = planes.values.size();
      rows.resize(count * numbers);
      for (std::size_t i = 0; i < count; ++i) {
        explain::HideRegions(planes, *regions, means,
                             kept.subspan(i * regions->count, regions->count),
                             std::span(rows).subspan(i * numbers, numbers));
      }
      return answers(rows, count, out);
    };
    const auto options = Options(kPictureSamples);
    explanation_.regions = regions->region;
    return Take(explain::ExplainParts(regions->count, by_mask, options, budget_), options.samples);
  }

  Result<void> ByColumns() {
    const std::size_t columns = input_.values.size();
    if (!request_.background) {
      return Invalid("LIME of a row needs a background: rows that say how its columns spread");
    }
    const NumberRows& background = *request_.background;
    const auto rows = static_cast<std::size_t>(background.shape[0]);
    if (background.values.size() != rows * columns) {
      return Invalid("the background's rows have " +
                     std::to_string(background.values.size() / rows) + " numbers, the row has " +
                     std::to_string(columns));
    }
    std::vector<double> means(columns);
    std::vector<double> deviations(columns);
    std::vector<float> column(rows);
    for (std::size_t j = 0; j < columns; ++j) {
      for (std::size_t i = 0; i < rows; ++i) column[i] = background.values[i * columns + j];
      stats::Moments moments;
      if (auto added = moments.Add(column); !added.ok()) return added.error();
      if (moments.missing() > 0) {
        return Invalid("column " + std::to_string(j) +
                       " of the background holds what is no number");
      }
      const auto mean = moments.Mean();
      const auto deviation = moments.StandardDeviation();
      if (!mean.ok() || !deviation.ok()) return mean.ok() ? deviation.error() : mean.error();
      means[j] = *mean;
      deviations[j] = *deviation;
    }
    const auto options = Options(kRowSamples);
    return Take(explain::ExplainRow(input_.values, means, deviations, Answers(), options, budget_),
                options.samples);
  }

  Result<void> ByGradients() {
    const std::vector<float> baseline(input_.values.size(), 0);
    const explain::AnswerGradients gradients = [this](std::span<const float> rows,
                                                      std::size_t count, std::span<double> answers,
                                                      std::span<float> slopes) {
      return model_.Gradients(row_shape_, rows, count, class_, answers, slopes);
    };
    const explain::GradientPath path;
    auto explained = explain::IntegrateGradients(input_.values, baseline, gradients, path, budget_);
    if (!explained.ok()) return explained.error();
    explanation_.gap = explained->gap;
    explanation_.asked = explained->steps;
    explanation_.possible = path.most_steps;
    explanation_.complete = explained->complete;
    if (!is_picture()) {
      explanation_.map = std::move(explained->attributions);
      return {};
    }
    const std::size_t pixels = explanation_.height * explanation_.width;
    explanation_.map.assign(pixels, 0);
    for (std::size_t i = 0; i < explained->attributions.size(); ++i) {
      explanation_.map[i % pixels] += explained->attributions[i];
    }
    return {};
  }

  Result<void> ByOcclusion() {
    if (!is_picture()) return Invalid("occlusion explains pictures, not rows of one size");
    const explain::Planes planes = Planes();
    explain::OcclusionOptions options;
    const std::size_t side = std::min(planes.height, planes.width);
    options.patch = std::max<std::size_t>(1, side / 8);
    options.stride = std::max<std::size_t>(1, options.patch / 2);
    options.fill =
        static_cast<float>(std::accumulate(planes.values.begin(), planes.values.end(), 0.0) /
                           static_cast<double>(planes.values.size()));
    auto explained = explain::ExplainByOcclusion(planes, Answers(), options, budget_);
    if (!explained.ok()) return explained.error();
    explanation_.map = std::move(explained->drop);
    explanation_.asked = explained->squares;
    explanation_.possible = explained->possible;
    explanation_.complete = explained->complete;
    return {};
  }

  ExplainableModel& model_;
  const ExplainRequest& request_;
  explain::Budget budget_;
  NumberRows input_;
  std::vector<std::int64_t> row_shape_;
  std::size_t class_ = 0;
  double probability_ = 0;
  std::vector<float> probabilities_;
  Explanation explanation_;
};

}  // namespace

Result<Explanation> Explain(ExplainableModel& model, const ExplainRequest& request,
                            const std::stop_token& stop) {
  if (auto checked = Check(request); !checked.ok()) return checked.error();
  return Explaining(model, request, stop).Run();
}

}  // namespace tidewheel::inference
