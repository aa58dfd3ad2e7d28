#include <cstdint>
#include <string>

#include "bindings.h"
#include "tidewheel/labels/agreement.h"
#include "tidewheel/labels/choice.h"
#include "tidewheel/labels/crowdlab.h"
#include "tidewheel/labels/dawid_skene.h"
#include "tidewheel/labels/glad.h"
#include "tidewheel/labels/mace.h"
#include "tidewheel/labels/majority.h"
#include "tidewheel/labels/one_coin.h"

namespace py = pybind11;

namespace tidewheel::peers {
namespace {

using Labels = Array<std::int32_t>;

labels::Votes VotesOf(const Labels& item, const Labels& worker, const Labels& label,
                      std::size_t items, std::size_t workers, std::size_t classes) {
  return {Span(item), Span(worker), Span(label), items, workers, classes};
}

py::dict Told(labels::Consensus consensus, const labels::Votes& votes) {
  const auto items = static_cast<py::ssize_t>(votes.items);
  const auto workers = static_cast<py::ssize_t>(votes.workers);
  const auto classes = static_cast<py::ssize_t>(votes.classes);
  py::dict told;
  told["posterior"] = Given(std::move(consensus.posterior), {items, classes});
  told["prior"] = Given(std::move(consensus.prior));
  told["confusion"] = Given(std::move(consensus.confusion), {workers, classes, classes});
  told["quality"] = Given(std::move(consensus.quality));
  told["label"] = Given(std::move(consensus.label));
  told["tied"] = Given(std::move(consensus.tied));
  told["rounds"] = consensus.rounds;
  told["log_likelihood"] = consensus.log_likelihood;
  return told;
}

/// Defines a function of votes: module.name(item, worker, label, items, workers, classes, ...).
template <typename Function, typename... Extra>
void Define(py::module_& module, const char* name, Function function, const Extra&... extra) {
  module.def(name, function, py::arg("item").noconvert(), py::arg("worker").noconvert(),
             py::arg("label").noconvert(), py::arg("items"), py::arg("workers"), py::arg("classes"),
             extra...);
}

labels::KappaWeights Weights(const std::string& name) {
  if (name == "linear") return labels::KappaWeights::kLinear;
  if (name == "quadratic") return labels::KappaWeights::kQuadratic;
  return labels::KappaWeights::kNone;
}

labels::AlphaMetric Metric(const std::string& name) {
  if (name == "ordinal") return labels::AlphaMetric::kOrdinal;
  if (name == "interval") return labels::AlphaMetric::kInterval;
  return labels::AlphaMetric::kNominal;
}

}  // namespace

PYBIND11_MODULE(consensus, module) {
  Define(module, "majority",
         [](const Labels& item, const Labels& worker, const Labels& label, std::size_t items,
            std::size_t workers, std::size_t classes) {
           const auto votes = VotesOf(item, worker, label, items, workers, classes);
           return Told(Value(labels::Majority(votes)), votes);
         });
  Define(module, "wawa",
         [](const Labels& item, const Labels& worker, const Labels& label, std::size_t items,
            std::size_t workers, std::size_t classes) {
           const auto votes = VotesOf(item, worker, label, items, workers, classes);
           return Told(Value(labels::Wawa(votes)), votes);
         });
  Define(
      module, "dawid_skene",
      [](const Labels& item, const Labels& worker, const Labels& label, std::size_t items,
         std::size_t workers, std::size_t classes, double smoothing, std::uint32_t rounds,
         double tolerance) {
        const auto votes = VotesOf(item, worker, label, items, workers, classes);
        labels::DawidSkeneOptions options;
        options.smoothing = smoothing;
        options.rounds = rounds;
        options.tolerance = tolerance;
        return Told(Value(labels::DawidSkene(votes, options)), votes);
      },
      py::arg("smoothing") = 0.01, py::arg("rounds") = 100, py::arg("tolerance") = 1e-9);
  Define(
      module, "one_coin",
      [](const Labels& item, const Labels& worker, const Labels& label, std::size_t items,
         std::size_t workers, std::size_t classes, double smoothing, std::uint32_t rounds,
         double tolerance) {
        const auto votes = VotesOf(item, worker, label, items, workers, classes);
        return Told(Value(labels::OneCoinDawidSkene(
                        votes, {.smoothing = smoothing, .rounds = rounds, .tolerance = tolerance})),
                    votes);
      },
      py::arg("smoothing") = 0.01, py::arg("rounds") = 100, py::arg("tolerance") = 1e-9);
  Define(
      module, "glad",
      [](const Labels& item, const Labels& worker, const Labels& label, std::size_t items,
         std::size_t workers, std::size_t classes, std::uint32_t rounds, double tolerance) {
        const auto votes = VotesOf(item, worker, label, items, workers, classes);
        auto found = Value(labels::Glad(votes, {.rounds = rounds, .tolerance = tolerance}));
        py::dict told = Told(std::move(found.consensus), votes);
        told["ability"] = Given(std::move(found.ability));
        told["difficulty"] = Given(std::move(found.difficulty));
        told["objective"] = found.objective;
        return told;
      },
      py::arg("rounds") = 100, py::arg("tolerance") = 1e-7);
  Define(
      module, "mace",
      [](const Labels& item, const Labels& worker, const Labels& label, std::size_t items,
         std::size_t workers, std::size_t classes, std::uint32_t restarts, std::uint32_t rounds,
         double tolerance, std::uint64_t seed, bool estimate_prior, bool variational) {
        const auto votes = VotesOf(item, worker, label, items, workers, classes);
        labels::MaceOptions options;
        options.restarts = restarts;
        options.rounds = rounds;
        options.tolerance = tolerance;
        options.seed = seed;
        options.estimate_prior = estimate_prior;
        options.variational = variational;
        auto found = Value(labels::Mace(votes, options));
        py::dict told = Told(std::move(found.consensus), votes);
        told["competence"] = Given(std::move(found.competence));
        told["restarts"] = Given(std::move(found.restarts));
        return told;
      },
      py::arg("restarts") = 10, py::arg("rounds") = 50, py::arg("tolerance") = 1e-9,
      py::arg("seed") = 0, py::arg("estimate_prior") = true, py::arg("variational") = false);
  Define(
      module, "crowdlab",
      [](const Labels& item, const Labels& worker, const Labels& label, std::size_t items,
         std::size_t workers, std::size_t classes, const Array<double>& probabilities) {
        const auto votes = VotesOf(item, worker, label, items, workers, classes);
        auto found = Value(labels::Crowdlab(votes, Matrix(probabilities)));
        py::dict told = Told(std::move(found.consensus), votes);
        told["label_quality"] = Given(std::move(found.label_quality));
        told["agreement"] = Given(std::move(found.agreement));
        told["worker_weight"] = Given(std::move(found.worker_weight));
        told["model_weight"] = found.model_weight;
        return told;
      },
      py::arg("probabilities").noconvert());
  Define(
      module, "alpha",
      [](const Labels& item, const Labels& worker, const Labels& label, std::size_t items,
         std::size_t workers, std::size_t classes, const std::string& metric) {
        return Value(labels::KrippendorffAlpha(
            VotesOf(item, worker, label, items, workers, classes), Metric(metric)));
      },
      py::arg("metric") = "nominal");
  Define(module, "fleiss",
         [](const Labels& item, const Labels& worker, const Labels& label, std::size_t items,
            std::size_t workers, std::size_t classes) {
           return Value(labels::FleissKappa(VotesOf(item, worker, label, items, workers, classes)));
         });
  Define(module, "choose_by_held_out",
         [](const Labels& item, const Labels& worker, const Labels& label, std::size_t items,
            std::size_t workers, std::size_t classes) {
           const auto choice = Value(
               labels::ChooseByHeldOutVotes(VotesOf(item, worker, label, items, workers, classes)));
           return py::make_tuple(std::string(labels::Name(choice.method)), choice.reason);
         });
  module.def(
      "cohen",
      [](const Labels& first, const Labels& second, std::size_t classes,
         const std::string& weights) {
        return Value(labels::CohenKappa(Span(first), Span(second), classes, Weights(weights)));
      },
      py::arg("first").noconvert(), py::arg("second").noconvert(), py::arg("classes"),
      py::arg("weights") = "none");
}

}  // namespace tidewheel::peers
