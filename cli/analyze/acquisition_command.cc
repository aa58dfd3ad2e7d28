#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/cli/analyze/analyze.h"
#include "tidewheel/cli/analyze/inputs.h"
#include "tidewheel/cli/output/chart.h"
#include "tidewheel/labels/acquisition.h"
#include "tidewheel/labels/acquisition_queue.h"

namespace tidewheel::cli {
namespace {

struct AcquisitionOptions {
  std::filesystem::path probabilities;
  std::filesystem::path candidate;
  std::filesystem::path clusters;
  std::string uncertainty = "margin";
  double disagreement_share = 1;
  std::uint64_t budget = 100;
  double control = 0.1;
  std::uint64_t seed = 1;
  std::uint64_t limit = 20;
};

Result<labels::Uncertainty> UncertaintyNamed(const std::string& name) {
  if (name == "least-confident") return labels::Uncertainty::kLeastConfident;
  if (name == "margin") return labels::Uncertainty::kMargin;
  if (name == "entropy") return labels::Uncertainty::kEntropy;
  return Error{ErrorCode::kInvalidArgument,
               "no uncertainty " + name + "; there are least-confident, margin, entropy"};
}

std::vector<double> Doubles(const NumberMatrix& matrix) {
  return matrix.Visit(
      [](const auto& view) { return std::vector<double>(view.values.begin(), view.values.end()); });
}

std::string ReasonText(const labels::QueuedItem& item,
                       const std::vector<labels::AcquisitionSource>& sources) {
  switch (item.reason) {
    case labels::QueueReason::kControl:
      return "random control";
    case labels::QueueReason::kQuota:
      return "quota";
    case labels::QueueReason::kSource:
      return sources[static_cast<std::size_t>(item.source)].name;
  }
  return "";
}

Result<ExitStatus> Run(CommandLine& line, const AcquisitionOptions& options) {
  const auto kind = UncertaintyNamed(options.uncertainty);
  if (!kind) return kind.error();
  const auto probabilities = NumberMatrix::Read(options.probabilities);
  if (!probabilities) return probabilities.error();
  const auto production = Doubles(*probabilities);
  const MatrixView<double> view{production, probabilities->rows(), probabilities->columns()};
  const auto uncertainty = labels::UncertaintyScores(view, *kind);
  if (!uncertainty) return uncertainty.error();
  std::vector<labels::AcquisitionSource> sources = {
      {.name = options.uncertainty, .scores = *uncertainty, .share = 1}};

  std::optional<labels::Disagreement> disagreement;
  if (!options.candidate.empty()) {
    const auto other = NumberMatrix::Read(options.candidate);
    if (!other) return other.error();
    const auto values = Doubles(*other);
    auto compared = labels::CompareClassifiers(
        view, MatrixView<double>{values, other->rows(), other->columns()});
    if (!compared) return compared.error();
    disagreement = *std::move(compared);
    sources.push_back({.name = "disagreement",
                       .scores = disagreement->jensen_shannon,
                       .share = options.disagreement_share});
  }
  std::vector<std::int64_t> clusters;
  if (!options.clusters.empty()) {
    const auto read = ReadIntegers(options.clusters, "cluster");
    if (!read) return read.error();
    clusters.assign(read->begin(), read->end());
  }
  labels::QueueRequest request;
  request.candidates = view.rows;
  request.budget = std::min<std::uint64_t>(options.budget, view.rows);
  request.control_share = options.control;
  request.sources = sources;
  request.clusters = clusters;
  request.seed = options.seed;
  const auto queue = labels::BuildLabelingQueue(request);
  if (!queue) return queue.error();
  const std::size_t count = options.limit == 0
                                ? queue->items.size()
                                : std::min<std::size_t>(options.limit, queue->items.size());

  if (line.json()) {
    JsonObject out;
    out.Set("candidates", queue->population)
        .Set("queued", std::uint64_t{queue->items.size()})
        .Set("control", std::uint64_t{queue->control})
        .EnsureList("items");
    for (const auto& item : queue->items) {
      out.Add("items", JsonObject()
                           .Set("row", std::uint64_t{item.candidate})
                           .Set("reason", ReasonText(item, sources))
                           .Set("score", item.score)
                           .Set("inclusion_probability", item.inclusion_probability));
    }
    Print(out.Text());
    return ExitStatus::kOk;
  }

  Print(FormatCount(queue->items.size()) + " of " + FormatCount(queue->population) +
        " candidates queued, " + FormatCount(queue->control) + " of them the random control\n\n");
  std::vector<double> sorted = *uncertainty;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  Print("Uncertainty (" + options.uncertainty + "), most uncertain first\n" +
        LineChart(sorted, {.low = 0.0}) + "\n");
  Table table({">ROW", "REASON", ">SCORE", ">INCLUSION PROBABILITY"});
  for (std::size_t i = 0; i < count; ++i) {
    const auto& item = queue->items[i];
    table.Add({std::to_string(item.candidate), ReasonText(item, sources), FormatNumber(item.score),
               item.inclusion_probability > 0 ? FormatShort(item.inclusion_probability) : "-"});
  }
  Print(table.Text());
  if (count < queue->items.size()) {
    Remark("showing " + std::to_string(count) + " of " + std::to_string(queue->items.size()) +
           "; --limit 0 shows all, --json writes all");
  }
  return ExitStatus::kOk;
}

}  // namespace

void AddAnalyzeAcquisition(CommandLine& line, CLI::App* group) {
  const auto options = std::make_shared<AcquisitionOptions>();
  auto* command =
      line.AddCommand(group, "acquisition", "What to label next, with a random control");
  command
      ->add_option("probabilities", options->probabilities,
                   "Of unlabeled candidates, rows x classes (.npy or CSV)")
      ->required();
  command->add_option(
      "--candidate", options->candidate,
      "The same of another model: rows on which the two disagree are asked for too");
  command
      ->add_option("--disagreement-share", options->disagreement_share,
                   "Of the queue, beside 1 for uncertainty")
      ->capture_default_str();
  command->add_option("--clusters", options->clusters,
                      "Cluster of near duplicates of each row (.npy or CSV: cluster), -1: none");
  command->add_option("--uncertainty", options->uncertainty, "least-confident, margin or entropy")
      ->capture_default_str();
  command->add_option("--budget", options->budget, "Labels")->capture_default_str();
  command->add_option("--control", options->control, "Share of the queue that is drawn by chance")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Of the control")->capture_default_str();
  AddLimit(command, &options->limit);
  line.OnRun(command, [&line, options] { return Run(line, *options); });
}

}  // namespace tidewheel::cli
