#include "tidewheel/inference/repository/model_metrics.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

namespace tidewheel::inference {
namespace {

using metrics::MetricKind;
using metrics::SampledFamily;

metrics::Labels LabelsOf(const ModelStatistics& model) {
  return {{"model", model.name}, {"version", model.version}};
}

SampledFamily Numbers(const std::vector<ModelStatistics>& models, MetricKind kind,
                      const std::string& name, const std::string& help,
                      const std::function<double(const ModelStatistics&)>& value) {
  SampledFamily family{.name = name, .help = help, .kind = kind};
  for (const ModelStatistics& model : models) {
    family.samples.push_back({.labels = LabelsOf(model), .value = value(model)});
  }
  return family;
}

SampledFamily Histograms(const std::vector<ModelStatistics>& models, const std::string& name,
                         const std::string& help, const PhaseHistogram ModelStatistics::*phase) {
  SampledFamily family{.name = name,
                       .help = help,
                       .kind = MetricKind::kHistogram,
                       .bounds = {PhaseHistogram::kBounds.begin(), PhaseHistogram::kBounds.end()}};
  for (const ModelStatistics& model : models) {
    const PhaseHistogram& histogram = model.*phase;
    family.samples.push_back({.labels = LabelsOf(model),
                              .counts = {histogram.counts.begin(), histogram.counts.end()},
                              .sum = histogram.sum_seconds});
  }
  return family;
}

double Microseconds(const DurationSum& sum) { return static_cast<double>(sum.nanoseconds) * 1e-3; }

SampledFamily Failures(const std::vector<ModelStatistics>& models) {
  SampledFamily family{.name = "nv_inference_request_failure",
                       .help = "Requests that failed, by reason.",
                       .kind = MetricKind::kCounter};
  for (const ModelStatistics& model : models) {
    const std::uint64_t rejected = model.refused + model.expired;
    const std::uint64_t known = rejected + model.cancelled;
    const std::uint64_t backend = model.fail.count - std::min(model.fail.count, known);
    const std::pair<const char*, std::uint64_t> reasons[] = {
        {"REJECTED", rejected}, {"CANCELED", model.cancelled}, {"BACKEND", backend}, {"OTHER", 0}};
    for (const auto& [reason, count] : reasons) {
      auto labels = LabelsOf(model);
      labels["reason"] = reason;
      family.samples.push_back({.labels = std::move(labels), .value = static_cast<double>(count)});
    }
  }
  return family;
}

SampledFamily Batches(const std::vector<ModelStatistics>& models) {
  SampledFamily family{.name = "tidewheel_inference_batches_total",
                       .help = "Calls of models, by why each was sent off as it was.",
                       .kind = MetricKind::kCounter};
  for (const ModelStatistics& model : models) {
    for (std::size_t i = 0; i < kBatchReasons; ++i) {
      auto labels = LabelsOf(model);
      labels["reason"] = std::string(Name(static_cast<BatchReason>(i)));
      family.samples.push_back(
          {.labels = std::move(labels), .value = static_cast<double>(model.reasons[i])});
    }
  }
  return family;
}

}  // namespace

std::vector<SampledFamily> ModelFamilies(const ModelServer& models) {
  const auto read = models.Statistics("", "");
  if (!read || read->empty()) return {};
  const std::vector<ModelStatistics>& all = *read;
  using Model = ModelStatistics;
  const auto counter = [&](const std::string& name, const std::string& help,
                           const std::function<double(const Model&)>& value) {
    return Numbers(all, MetricKind::kCounter, name, help, value);
  };
  const auto gauge = [&](const std::string& name, const std::string& help,
                         const std::function<double(const Model&)>& value) {
    return Numbers(all, MetricKind::kGauge, name, help, value);
  };
  return {
      Histograms(all, "tidewheel_inference_queue_seconds",
                 "From a request's arrival to its model's turn.", &Model::queue_seconds),
      Histograms(all, "tidewheel_inference_preprocess_seconds",
                 "Putting a batch together, of each request in it.", &Model::preprocess_seconds),
      Histograms(all, "tidewheel_inference_infer_seconds", "The model's own part, of each request.",
                 &Model::infer_seconds),
      Histograms(all, "tidewheel_inference_postprocess_seconds",
                 "Taking a batch apart, of each request in it.", &Model::postprocess_seconds),
      Batches(all),
      counter("tidewheel_inference_inline_batches_total",
              "Calls of models on the thread that brought the request.",
              [](const Model& m) { return static_cast<double>(m.ran_inline); }),
      gauge("tidewheel_inference_model_memory_bytes",
            "Held by weights and buffers, as the engine says; 0: it does not.",
            [](const Model& m) { return static_cast<double>(m.memory_bytes); }),
      counter("nv_inference_request_success", "Requests that were answered.",
              [](const Model& m) { return static_cast<double>(m.success.count); }),
      Failures(all),
      counter("nv_inference_count", "Rows that were answered.",
              [](const Model& m) { return static_cast<double>(m.inference_count); }),
      counter("nv_inference_exec_count", "Calls of models.",
              [](const Model& m) { return static_cast<double>(m.execution_count); }),
      gauge("nv_inference_pending_request_count", "Requests that wait for their turn.",
            [](const Model& m) { return static_cast<double>(m.pending); }),
      counter("nv_inference_request_duration_us", "Of answered requests, in microseconds.",
              [](const Model& m) { return Microseconds(m.success); }),
      counter("nv_inference_queue_duration_us", "Of it, waiting.",
              [](const Model& m) { return Microseconds(m.queue); }),
      counter("nv_inference_compute_input_duration_us", "Of it, putting batches together.",
              [](const Model& m) { return Microseconds(m.input); }),
      counter("nv_inference_compute_infer_duration_us", "Of it, the model's own part.",
              [](const Model& m) { return Microseconds(m.infer); }),
      counter("nv_inference_compute_output_duration_us", "Of it, taking batches apart.",
              [](const Model& m) { return Microseconds(m.output); }),
      counter("nv_cache_num_hits_per_model", "Answers from the response cache.",
              [](const Model& m) { return static_cast<double>(m.cache_hit.count); }),
      counter("nv_cache_num_misses_per_model", "Requests that the response cache did not know.",
              [](const Model& m) { return static_cast<double>(m.cache_miss.count); }),
      counter("nv_cache_hit_duration_per_model", "Looking up, in microseconds.",
              [](const Model& m) { return Microseconds(m.cache_hit); }),
      counter("nv_cache_miss_duration_per_model", "Looking up in vain, in microseconds.",
              [](const Model& m) { return Microseconds(m.cache_miss); })};
}

}  // namespace tidewheel::inference
