#include "tidewheel/labels/label_errors.h"

#include <cstdint>
#include <stdexcept>
#include <string>

#include "bindings.h"
#include "tidewheel/labels/label_error_scores.h"
#include "tidewheel/labels/label_error_stream.h"
#include "tidewheel/labels/label_noise.h"

namespace py = pybind11;

namespace tidewheel::peers {
namespace {

using Labels = Array<std::int32_t>;

labels::LabelErrorMethod Method(const std::string& name) {
  for (const auto method : labels::kLabelErrorMethods) {
    if (labels::Name(method) == name) return method;
  }
  throw py::value_error("no method " + name);
}

labels::LabelScore Score(const std::string& name) {
  for (const auto score :
       {labels::LabelScore::kSelfConfidence, labels::LabelScore::kNormalizedMargin,
        labels::LabelScore::kConfidenceWeightedEntropy}) {
    if (labels::Name(score) == name) return score;
  }
  throw py::value_error("no score " + name);
}

labels::VoteRule Rule(const std::string& name) {
  if (name == "largest_of_all") return labels::VoteRule::kLargestOfAll;
  if (name == "largest_confident") return labels::VoteRule::kLargestConfident;
  throw py::value_error("no vote rule " + name);
}

/// A cell's value as a classes x classes matrix.
template <typename T, typename Value>
Array<T> Dense(const labels::ConfidentJoint& joint, const Value& value) {
  std::vector<T> dense(joint.classes * joint.classes);
  for (const labels::JointCell& cell : joint.cells) {
    dense[static_cast<std::size_t>(cell.given) * joint.classes +
          static_cast<std::size_t>(cell.voted)] = value(cell);
  }
  const auto classes = static_cast<py::ssize_t>(joint.classes);
  return Given(std::move(dense), {classes, classes});
}

py::dict Told(const labels::ConfidentJoint& joint) {
  py::dict told;
  told["thresholds"] = Given(joint.thresholds);
  told["confident"] =
      Dense<std::uint64_t>(joint, [](const labels::JointCell& cell) { return cell.confident; });
  told["expected"] =
      Dense<double>(joint, [](const labels::JointCell& cell) { return cell.expected; });
  told["calibrated"] =
      Dense<std::uint64_t>(joint, [](const labels::JointCell& cell) { return cell.calibrated; });
  return told;
}

template <typename T>
labels::LabelErrorScan<T> Scan(const Array<T>& probabilities, const Labels& labels,
                               const std::string& votes, std::uint32_t threads) {
  return Value(labels::LabelErrorScan<T>::Read(Matrix(probabilities), Span(labels),
                                               {.votes = Rule(votes), .threads = threads}));
}

template <typename T>
void Define(py::module_& module) {
  const auto probabilities = py::arg("probabilities").noconvert();
  const auto labels = py::arg("labels").noconvert();
  const auto votes = py::arg("votes") = "largest_confident";
  const auto threads = py::arg("threads") = 1;

  module.def(
      "joint",
      [](const Array<T>& p, const Labels& y, const std::string& rule) {
        return Told(Scan(p, y, rule, 1).joint());
      },
      probabilities, labels, votes);
  module.def(
      "issues",
      [](const Array<T>& p, const Labels& y, const std::string& method, std::uint64_t keep,
         const std::string& rule) {
        auto found = Scan(p, y, rule, 1).Find(Method(method), {.keep_per_class = keep});
        return py::make_tuple(Given(std::move(found.rows)), found.spared);
      },
      probabilities, labels, py::arg("method"), py::arg("keep_per_class") = 5, votes);
  module.def(
      "find",
      [](const Array<T>& p, const Labels& y, const std::string& method, const std::string& rank_by,
         std::uint64_t keep, std::uint32_t count) {
        auto found = Value(labels::FindLabelErrors(Matrix(p), Span(y),
                                                   {.method = Method(method),
                                                    .rank_by = Score(rank_by),
                                                    .keep_per_class = keep,
                                                    .threads = count}));
        return py::make_tuple(Given(std::move(found.issues.rows)),
                              Given(std::move(found.issues.scores)));
      },
      probabilities, labels, py::arg("method"), py::arg("rank_by"), py::arg("keep_per_class") = 5,
      threads);
  module.def(
      "scores",
      [](const Array<T>& p, const Labels& y, const std::string& score) {
        return Given(Value(labels::ScoreLabels(Matrix(p), Span(y), Score(score))));
      },
      probabilities, labels, py::arg("score"));
  module.def(
      "noise",
      [](const Array<T>& p, const Labels& y, const std::string& rule) {
        const auto scan = Scan(p, y, rule, 1);
        auto noise = Value(labels::EstimateLabelNoise(scan.joint()));
        const auto rate = Value(labels::EstimateErrorRate(scan.joint()));
        const auto k = static_cast<py::ssize_t>(noise.classes);
        py::dict told;
        told["joint"] = Given(std::move(noise.joint), {k, k});
        told["noise"] = Given(std::move(noise.noise), {k, k});
        told["inverse_noise"] = Given(std::move(noise.inverse_noise), {k, k});
        told["true_share"] = Given(std::move(noise.true_share));
        told["rate"] = py::make_tuple(rate.rate, rate.low, rate.high);
        return told;
      },
      probabilities, labels, votes);
}

}  // namespace

PYBIND11_MODULE(label_errors, module) {
  Define<double>(module);
  Define<float>(module);
  // Sample by sample, in two passes.
  module.def(
      "two_passes",
      [](const Array<double>& p, const Labels& y, const std::string& rule) {
        const auto rows = Matrix(p);
        auto learner = Value(labels::ThresholdLearner::Create(rows.columns));
        for (std::size_t i = 0; i < rows.rows; ++i) {
          Value(learner.Learn(rows.Row(i), Span(y)[i]));
        }
        auto counter = Value(labels::VoteCounter::Create(learner.Thresholds(), Rule(rule)));
        std::vector<std::uint32_t> suspected;
        for (std::size_t i = 0; i < rows.rows; ++i) {
          if (Value(counter.Count(rows.Row(i), Span(y)[i])).suspected) {
            suspected.push_back(static_cast<std::uint32_t>(i));
          }
        }
        py::dict told = Told(Value(counter.Joint()));
        told["suspected"] = Given(std::move(suspected));
        return told;
      },
      py::arg("probabilities").noconvert(), py::arg("labels").noconvert(),
      py::arg("votes") = "largest_confident");
}

}  // namespace tidewheel::peers
