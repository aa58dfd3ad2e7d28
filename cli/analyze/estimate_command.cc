#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "tidewheel/cli/analyze/analyze.h"
#include "tidewheel/cli/analyze/inputs.h"
#include "tidewheel/cli/output/chart.h"
#include "tidewheel/stats/estimate_audit.h"
#include "tidewheel/stats/loss_estimate.h"
#include "tidewheel/stats/performance_estimate.h"

namespace tidewheel::cli {
namespace {

constexpr std::array kRegressionMetrics = {stats::RegressionMetric::kMeanAbsoluteError,
                                           stats::RegressionMetric::kMeanSquaredError,
                                           stats::RegressionMetric::kRootMeanSquaredError,
                                           stats::RegressionMetric::kMeanAbsolutePercentageError,
                                           stats::RegressionMetric::kMeanSquaredLogError};

struct EstimateOptions {
  std::filesystem::path reference;
  std::filesystem::path current;
  std::filesystem::path targets;
  std::string metric = "roc_auc";
  std::vector<std::string> scores = {"score"};
  std::string predicted = "predicted";
  std::string target = "label";
  std::string id = "id";
  std::string timestamp = "timestamp";
  std::string chunk = "month";
  std::vector<std::string> features;

  std::size_t classes() const { return std::max<std::size_t>(scores.size(), 2); }
};

/// One file's columns, in the order of its rows.
struct Rows {
  std::vector<std::string> times;
  std::size_t columns = 1;              // Of scores: one, or one for each class.
  std::vector<double> score;            // Row by row, of class 1 or of each; a regression's answer.
  std::vector<std::int32_t> predicted;  // Of a classifier.
  std::vector<double> target;           // Empty where there is none.
  std::vector<std::vector<double>> features;
};

/// Rows from..to, not including the last, as one chunk.
struct Chunk {
  std::string name;
  std::size_t from = 0;
  std::size_t to = 0;
};

/// Numbers that are classes, from 0.
Result<std::vector<std::int32_t>> ClassesOf(std::span<const double> numbers, std::size_t classes,
                                            const std::string& column) {
  std::vector<std::int32_t> found;
  for (const double number : numbers) {
    if (!(number >= 0 && number < static_cast<double>(classes) && number == std::floor(number))) {
      return Error{
          ErrorCode::kInvalidArgument,
          column + ", row " + std::to_string(found.size()) + ": " +
              (classes == 2 ? "0 or 1" : "a class of 0 to " + std::to_string(classes - 1)) +
              " is wanted"};
    }
    found.push_back(static_cast<std::int32_t>(number));
  }
  return found;
}

Result<std::vector<double>> Column(const NumberTable& table, const std::string& name) {
  const auto numbers = table.Numbers(name);
  if (!numbers) return numbers.error();
  return std::vector<double>(numbers->begin(), numbers->end());
}

/// The targets of another file, brought to the rows of `table` by their ids.
Result<std::vector<double>> JoinedTargets(const NumberTable& table,
                                          const EstimateOptions& options) {
  const auto targets = NumberTable::Read(
      options.targets,
      {.columns = {{options.id, ColumnKind::kTexts}, {options.target, ColumnKind::kNumbers}}});
  if (!targets) return targets.error();
  const auto ids = targets->Find(options.id);
  const auto values = targets->Numbers(options.target);
  std::map<std::string, double> target_of;
  for (std::size_t i = 0; i < values->size(); ++i) {
    const std::int32_t code = (*ids)->codes[i];
    if (code >= 0) target_of[(*ids)->texts[static_cast<std::size_t>(code)]] = (*values)[i];
  }
  const auto wanted = table.Find(options.id);
  if (!wanted) return wanted.error();
  std::vector<double> joined;
  for (const std::int32_t code : (*wanted)->codes) {
    const auto found = code < 0 ? target_of.end()
                                : target_of.find((*wanted)->texts[static_cast<std::size_t>(code)]);
    if (found == target_of.end()) {
      return Error{ErrorCode::kInvalidArgument,
                   options.targets.string() + " has no target of row " +
                       std::to_string(joined.size()) + " of " + options.current.string()};
    }
    joined.push_back(found->second);
  }
  return joined;
}

Result<Rows> ReadRows(const std::filesystem::path& path, const EstimateOptions& options,
                      bool regression, bool wants_target) {
  const bool by_time =
      options.chunk == "month" || options.chunk == "day" || options.chunk == "year";
  TableOptions wanted;
  wanted.columns.push_back({options.predicted, ColumnKind::kNumbers});
  if (!regression) {
    for (const auto& score : options.scores) {
      wanted.columns.push_back({score, ColumnKind::kNumbers});
    }
  }
  if (by_time) wanted.columns.push_back({options.timestamp, ColumnKind::kTexts});
  for (const auto& feature : options.features) {
    wanted.columns.push_back({feature, ColumnKind::kNumbers});
  }
  const bool joins = !wants_target && !options.targets.empty();
  if (wants_target) wanted.columns.push_back({options.target, ColumnKind::kNumbers});
  if (joins) wanted.columns.push_back({options.id, ColumnKind::kTexts});
  const auto table = NumberTable::Read(path, wanted);
  if (!table) return table.error();

  Rows rows;
  const auto answers = Column(*table, options.predicted);
  if (!answers) return answers.error();
  if (regression) {
    rows.score = *answers;
  } else {
    auto predicted =
        ClassesOf(*answers, options.classes(), path.string() + ", column " + options.predicted);
    if (!predicted) return predicted.error();
    rows.predicted = *std::move(predicted);
    rows.columns = options.scores.size();
    rows.score.resize(answers->size() * rows.columns);
    for (std::size_t k = 0; k < rows.columns; ++k) {
      const auto score = Column(*table, options.scores[k]);
      if (!score) return score.error();
      for (std::size_t i = 0; i < score->size(); ++i) {
        rows.score[i * rows.columns + k] = (*score)[i];
      }
    }
  }
  for (const auto& feature : options.features) {
    auto column = Column(*table, feature);
    if (!column) return column.error();
    rows.features.push_back(*std::move(column));
  }
  if (wants_target) {
    auto target = Column(*table, options.target);
    if (!target) return target.error();
    rows.target = *std::move(target);
  } else if (joins) {
    auto target = JoinedTargets(*table, options);
    if (!target) return target.error();
    rows.target = *std::move(target);
  }
  if (by_time) {
    const auto times = table->Find(options.timestamp);
    if (!times) return times.error();
    if (auto complete = RequireComplete(**times, path); !complete) return complete.error();
    for (const std::int32_t code : (*times)->codes) {
      rows.times.push_back((*times)->texts[static_cast<std::size_t>(code)]);
    }
  }
  return rows;
}

/// By the ISO date's year, month or day, or by number of rows. Rows of one period must stand
/// together.
Result<std::vector<Chunk>> Cut(const Rows& rows, const EstimateOptions& options) {
  std::vector<Chunk> chunks;
  if (!rows.times.empty()) {
    const std::size_t length = options.chunk == "year" ? 4 : options.chunk == "month" ? 7 : 10;
    std::map<std::string, std::size_t> seen;
    for (std::size_t i = 0; i < rows.times.size(); ++i) {
      const std::string name = rows.times[i].substr(0, length);
      if (!chunks.empty() && chunks.back().name == name) {
        chunks.back().to = i + 1;
        continue;
      }
      if (!seen.try_emplace(name, i).second) {
        return Error{ErrorCode::kInvalidArgument, "row " + std::to_string(i) + " returns to " +
                                                      name + ": rows are wanted in order of time"};
      }
      chunks.push_back({name, i, i + 1});
    }
    return chunks;
  }
  std::size_t size = 0;
  try {
    size = static_cast<std::size_t>(std::stoull(options.chunk));
  } catch (const std::exception&) {
    size = 0;
  }
  if (size == 0) {
    return Error{ErrorCode::kInvalidArgument,
                 "--chunk is year, month, day or a number of rows, not " + options.chunk};
  }
  const std::size_t count = rows.score.size() / rows.columns;
  for (std::size_t from = 0; from < count; from += size) {
    const std::size_t to = std::min(from + size, count);
    chunks.push_back({std::to_string(from), from, to});
  }
  return chunks;
}

template <typename T>
std::span<const T> Part(const std::vector<T>& all, const Chunk& chunk) {
  return all.empty() ? std::span<const T>()
                     : std::span(all).subspan(chunk.from, chunk.to - chunk.from);
}

/// A chunk's line of the answer.
struct Line {
  Chunk chunk;
  std::optional<stats::MetricEstimate> estimate = {};
  std::optional<double> realized = {};
  std::string problem = {};
};

/// One score a row, of class 1.
struct TwoClasses {
  using Estimator = stats::BinaryEstimator;

  static stats::BinaryRows Of(const Rows& rows, const std::vector<std::int32_t>& labels,
                              const Chunk& chunk) {
    return {Part(rows.score, chunk), Part(rows.predicted, chunk), Part(labels, chunk)};
  }
};

/// A probability of each class.
struct ManyClasses {
  using Estimator = stats::MulticlassEstimator;

  static stats::MulticlassRows Of(const Rows& rows, const std::vector<std::int32_t>& labels,
                                  const Chunk& chunk) {
    const std::size_t count = chunk.to - chunk.from;
    return {{std::span(rows.score).subspan(chunk.from * rows.columns, count * rows.columns), count,
             rows.columns},
            Part(rows.predicted, chunk),
            Part(labels, chunk)};
  }
};

template <typename Classes>
Result<std::vector<Line>> EstimateClassifier(const Rows& reference, const Rows& current,
                                             const std::vector<Chunk>& reference_chunks,
                                             const std::vector<Chunk>& chunks,
                                             const EstimateOptions& options,
                                             stats::PerformanceMetric metric) {
  const auto reference_labels =
      ClassesOf(reference.target, options.classes(), "targets of the reference");
  if (!reference_labels) return reference_labels.error();
  const auto current_labels = ClassesOf(current.target, options.classes(), "targets");
  if (!current_labels) return current_labels.error();

  std::vector<decltype(Classes::Of(reference, *reference_labels, {}))> parts;
  for (const Chunk& chunk : reference_chunks) {
    parts.push_back(Classes::Of(reference, *reference_labels, chunk));
  }
  const auto estimator = Classes::Estimator::Fit(parts);
  if (!estimator) return estimator.error();
  std::vector<Line> lines;
  for (const Chunk& chunk : chunks) {
    Line line{.chunk = chunk};
    const auto rows = Classes::Of(current, *current_labels, chunk);
    if (const auto estimate = estimator->Estimate(metric, rows)) {
      line.estimate = *estimate;
    } else if (estimate.error().code == ErrorCode::kFailedPrecondition) {
      line.problem = estimate.error().message;
    } else {
      return estimate.error();
    }
    if (!rows.labels.empty()) {
      if (const auto realized = stats::RealizedMetric(metric, rows)) line.realized = *realized;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

Result<std::vector<Line>> EstimateRegression(const Rows& reference, const Rows& current,
                                             const std::vector<Chunk>& reference_chunks,
                                             const std::vector<Chunk>& chunks,
                                             stats::RegressionMetric metric) {
  const auto matrix_of = [](const Rows& rows) {
    std::vector<double> values;
    for (std::size_t r = 0; r < rows.score.size(); ++r) {
      for (const auto& feature : rows.features) values.push_back(feature[r]);
    }
    return values;
  };
  const std::vector<double> reference_features = matrix_of(reference);
  const std::vector<double> current_features = matrix_of(current);
  const std::size_t columns = reference.features.size();
  const auto rows_of = [columns](const Rows& rows, const std::vector<double>& features,
                                 const Chunk& chunk) {
    const std::size_t count = chunk.to - chunk.from;
    return stats::RegressionRows{
        {std::span(features).subspan(chunk.from * columns, count * columns), count, columns},
        Part(rows.score, chunk),
        Part(rows.target, chunk)};
  };
  std::vector<stats::RegressionRows> parts;
  for (const Chunk& chunk : reference_chunks) {
    parts.push_back(rows_of(reference, reference_features, chunk));
  }
  const auto estimator = stats::LossEstimator::Fit(metric, parts);
  if (!estimator) return estimator.error();
  std::vector<Line> lines;
  for (const Chunk& chunk : chunks) {
    Line line{.chunk = chunk};
    const auto rows = rows_of(current, current_features, chunk);
    const auto estimate = estimator->Estimate(rows);
    if (!estimate) return estimate.error();
    line.estimate = *estimate;
    if (!rows.targets.empty()) {
      const auto realized = stats::RealizedMetric(metric, rows);
      if (!realized) return realized.error();
      line.realized = *realized;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

Result<void> Tell(CommandLine& line, const std::string& metric, const std::vector<Line>& lines) {
  std::vector<stats::AuditedEstimate> audited;
  for (const Line& one : lines) {
    if (one.estimate && one.realized) {
      audited.push_back({one.estimate->value, one.estimate->band, *one.realized});
    }
  }
  std::optional<stats::EstimateAudit> audit;
  if (!audited.empty()) {
    auto made = stats::AuditEstimates(audited);
    if (!made) return made.error();
    audit = *std::move(made);
  }

  if (line.json()) {
    JsonObject out;
    out.Set("metric", metric).EnsureList("chunks");
    for (const Line& one : lines) {
      JsonObject entry;
      entry.Set("chunk", one.chunk.name).Set("rows", std::uint64_t{one.chunk.to - one.chunk.from});
      if (one.estimate) {
        entry.Set("estimated", one.estimate->value)
            .Set("sampling_error", one.estimate->sampling_error)
            .Set("low", one.estimate->band.low)
            .Set("high", one.estimate->band.high)
            .Set("lower_limit", one.estimate->limits.low)
            .Set("upper_limit", one.estimate->limits.high)
            .Set("alert", one.estimate->alert);
      } else {
        entry.Set("problem", one.problem);
      }
      if (one.realized) entry.Set("realized", *one.realized);
      out.Add("chunks", entry);
    }
    if (audit) {
      out.Set("audit", JsonObject()
                           .Set("verdict", stats::Name(audit->verdict))
                           .Set("reason", audit->reason)
                           .Set("coverage", audit->coverage.value)
                           .Set("mean_absolute_error", audit->mean_absolute_error));
    }
    Print(out.Text());
    return {};
  }

  std::vector<double> estimated;
  std::vector<std::size_t> alerts;
  std::vector<double> limits;
  for (const Line& one : lines) {
    if (one.estimate && one.estimate->alert) alerts.push_back(estimated.size());
    if (one.estimate && limits.empty()) {
      limits = {one.estimate->limits.low, one.estimate->limits.high};
    }
    estimated.push_back(one.estimate ? one.estimate->value
                                     : std::numeric_limits<double>::quiet_NaN());
  }
  Print("Estimated " + metric + " by chunk, alert limits dotted\n" +
        LineChart(estimated, {.marks = alerts, .limits = limits}) + "\n");
  Table table({"CHUNK", ">ROWS", ">ESTIMATED", "BAND", ">REALISED", ""});
  for (const Line& one : lines) {
    table.Add({one.chunk.name, FormatCount(one.chunk.to - one.chunk.from),
               one.estimate ? FormatNumber(one.estimate->value, 6) : "-",
               one.estimate ? FormatInterval(one.estimate->band.low, one.estimate->band.high) : "-",
               one.realized ? FormatNumber(*one.realized, 6) : "-",
               !one.estimate         ? "not applicable, because " + one.problem
               : one.estimate->alert ? "alert"
                                     : ""});
  }
  Print(table.Text());
  if (audit) {
    Print("\nAudit: the estimates are " + std::string(stats::Name(audit->verdict)) + "; " +
          audit->reason + "\n");
  }
  return {};
}

Result<ExitStatus> Run(CommandLine& line, const EstimateOptions& options) {
  std::optional<stats::PerformanceMetric> classifier;
  std::optional<stats::RegressionMetric> regression;
  std::string known;
  for (const auto metric : stats::kPerformanceMetrics) {
    if (stats::Name(metric) == options.metric) classifier = metric;
    known += (known.empty() ? "" : ", ") + std::string(stats::Name(metric));
  }
  for (const auto metric : kRegressionMetrics) {
    if (stats::Name(metric) == options.metric) regression = metric;
    known += ", " + std::string(stats::Name(metric));
  }
  if (!classifier && !regression) {
    return Error{ErrorCode::kInvalidArgument,
                 "no metric " + options.metric + "; there are " + known};
  }
  if (regression && options.features.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 "a regression's loss is learned from --features, and none are named"};
  }
  const auto reference = ReadRows(options.reference, options, regression.has_value(), true);
  if (!reference) return reference.error();
  const auto current = ReadRows(options.current, options, regression.has_value(), false);
  if (!current) return current.error();
  const auto reference_chunks = Cut(*reference, options);
  if (!reference_chunks) {
    return Prefixed(options.reference.string() + ": ", reference_chunks.error());
  }
  const auto chunks = Cut(*current, options);
  if (!chunks) return Prefixed(options.current.string() + ": ", chunks.error());

  const auto lines = !classifier ? EstimateRegression(*reference, *current, *reference_chunks,
                                                      *chunks, *regression)
                     : options.scores.size() == 1
                         ? EstimateClassifier<TwoClasses>(*reference, *current, *reference_chunks,
                                                          *chunks, options, *classifier)
                         : EstimateClassifier<ManyClasses>(*reference, *current, *reference_chunks,
                                                           *chunks, options, *classifier);
  if (!lines) return lines.error();
  if (const auto told = Tell(line, options.metric, *lines); !told) return told.error();
  return ExitStatus::kOk;
}

}  // namespace

void AddAnalyzeEstimate(CommandLine& line, CLI::App* group) {
  const auto options = std::make_shared<EstimateOptions>();
  auto* command = line.AddCommand(
      group, "estimate", "A model's expected performance before the labels come (CBPE, DLE)");
  command->add_option("reference", options->reference, "CSV with targets, in order of time")
      ->required();
  command->add_option("current", options->current, "CSV to be estimated, in order of time")
      ->required();
  command->add_option("--targets", options->targets,
                      "CSV with ids and targets of the current rows: audits the estimates");
  command
      ->add_option("--metric", options->metric,
                   "accuracy, precision, recall, specificity, f1, roc_auc, average_precision; "
                   "of a regression mean_absolute_error and its kin")
      ->capture_default_str();
  command
      ->add_option("--score", options->scores,
                   "Column: probability of class 1; or one for each class, from class 0 on")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--predicted", options->predicted, "Column: the model's answer")
      ->capture_default_str();
  command->add_option("--target", options->target, "Column: what was true")->capture_default_str();
  command->add_option("--id", options->id, "Column that joins --targets")->capture_default_str();
  command->add_option("--timestamp", options->timestamp, "Column: ISO 8601")->capture_default_str();
  command->add_option("--chunk", options->chunk, "year, month, day, or a number of rows")
      ->capture_default_str();
  command->add_option("--features", options->features, "Columns a regression's loss depends on")
      ->delimiter(',');
  line.OnRun(command, [&line, options] { return Run(line, *options); });
}

}  // namespace tidewheel::cli
