#include "tidewheel/training/worker/evaluation.h"

#include <array>
#include <charconv>
#include <cstdio>

#include "tidewheel/log/log.h"
#include "tidewheel/stats/classification.h"

namespace tidewheel::training {
namespace {

void Add(const std::string& name, const stats::Estimate& estimate, const char* interval,
         v1::Evaluation* evaluation) {
  auto* metric = evaluation->add_metrics();
  metric->set_name(name);
  metric->set_value(estimate.value);
  metric->set_low(estimate.interval.low);
  metric->set_high(estimate.interval.high);
  metric->set_interval(interval);
}

std::string Number(double value) {
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

std::string Short(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4f", value);
  return text.data();
}

}  // namespace

Result<v1::Evaluation> Evaluate(const std::string& split, std::span<const std::int32_t> labels,
                                std::span<const float> probabilities,
                                const std::vector<std::string>& classes) {
  const std::vector<std::uint32_t> given(labels.begin(), labels.end());
  const auto report = stats::ReportClassification(given, probabilities, classes.size());
  if (!report) return Prefixed(split + " split: ", report.error());

  v1::Evaluation evaluation;
  evaluation.set_split(split);
  evaluation.set_samples(report->samples);
  Add("accuracy", report->accuracy, "wilson", &evaluation);
  Add("balanced_accuracy", report->balanced_accuracy, "bootstrap", &evaluation);
  Add("macro_f1", report->macro_f1, "bootstrap", &evaluation);
  Add("matthews", report->matthews, "bootstrap", &evaluation);
  Add("ece", report->calibration_error, "bootstrap", &evaluation);
  Add("log_loss", report->log_loss, "bootstrap", &evaluation);
  for (std::size_t k = 0; k < classes.size(); ++k) {
    Add("precision." + classes[k], report->classes[k].precision, "wilson", &evaluation);
    Add("recall." + classes[k], report->classes[k].recall, "wilson", &evaluation);
    Add("f1." + classes[k], report->classes[k].f1, "bootstrap", &evaluation);
  }
  evaluation.mutable_confusion()->Add(report->confusion.begin(), report->confusion.end());
  return evaluation;
}

std::string EvaluationJson(std::span<const v1::Evaluation> evaluations) {
  std::string json = "{\"splits\": {";
  bool first_split = true;
  for (const auto& evaluation : evaluations) {
    json += std::string(first_split ? "" : ",") + "\n  " + log::JsonQuoted(evaluation.split()) +
            ": {\"samples\": " + std::to_string(evaluation.samples()) + ", \"metrics\": {";
    first_split = false;
    bool first = true;
    for (const auto& metric : evaluation.metrics()) {
      json += std::string(first ? "" : ",") + "\n    " + log::JsonQuoted(metric.name()) +
              ": {\"value\": " + Number(metric.value()) + ", \"low\": " + Number(metric.low()) +
              ", \"high\": " + Number(metric.high()) +
              ", \"interval\": " + log::JsonQuoted(metric.interval()) + "}";
      first = false;
    }
    json += "},\n    \"confusion\": [";
    for (int i = 0; i < evaluation.confusion_size(); ++i) {
      json += (i > 0 ? ", " : "") + std::to_string(evaluation.confusion(i));
    }
    json += "]}";
  }
  return json + "\n}}\n";
}

std::string ModelCard(const v1::WorkerJob& job, const v1::WorkerResult& result) {
  std::string card = "# " + job.task() + ": " + job.recipe() + "\n\n";
  card += "| | |\n|---|---|\n";
  card += "| run | " + job.run_id() + " |\n";
  card += "| dataset version | " + job.dataset_version_id() + ", digest " + job.dataset_digest() +
          " |\n";
  card += "| recipe, seed | " + job.recipe() + ", " + std::to_string(job.seed()) + " |\n";
  card +=
      "| code | " + result.code_version() + (result.code_clean() ? "" : " (with changes)") + " |\n";
  for (const auto& evaluation : result.evaluations()) {
    card += "\n## On " + std::to_string(evaluation.samples()) + " " + evaluation.split() +
            " samples\n\n| metric | value | 95 % interval |\n|---|---|---|\n";
    for (const auto& metric : evaluation.metrics()) {
      card += "| " + metric.name() + " | " + Short(metric.value()) + " | " + Short(metric.low()) +
              " to " + Short(metric.high()) + " (" + metric.interval() + ") |\n";
    }
  }
  if (!result.tests().empty()) {
    card += "\n## Behaviour on the test split\n\n| test | passed |\n|---|---|\n";
    for (const auto& test : result.tests()) {
      card += "| " + test.name() + " | " +
              (test.not_evaluated().empty()
                   ? std::to_string(test.passed()) + " of " + std::to_string(test.samples())
                   : "not evaluated: " + test.not_evaluated()) +
              " |\n";
    }
  }
  return card;
}

}  // namespace tidewheel::training
