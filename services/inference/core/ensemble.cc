#include "tidewheel/inference/core/ensemble.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "tidewheel/inference/core/request_check.h"

namespace tidewheel::inference {
namespace {

// A chain of cheap models is answered on one thread, step within step: this bounds its stack.
constexpr std::size_t kMostSteps = 128;

std::string Quoted(const std::string& name) { return "\"" + name.substr(0, 80) + "\""; }

/// Whether some tensor may have both shapes.
bool Agree(const TensorSpec& one, const TensorSpec& other) {
  if (one.type != other.type || one.shape.size() != other.shape.size()) return false;
  for (std::size_t i = 0; i < one.shape.size(); ++i) {
    if (one.shape[i] >= 0 && other.shape[i] >= 0 && one.shape[i] != other.shape[i]) return false;
  }
  return true;
}

const TensorSpec* FindTensor(const std::vector<TensorSpec>& tensors, const std::string& name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const TensorSpec& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

/// A tensor of the graph while the graph is put together.
struct Node {
  std::size_t index = 0;
  TensorSpec spec{};
  std::optional<std::size_t> made_by{};  // Nothing: an input.
};

}  // namespace

/// One request on its way through the graph.
struct Ensemble::Run {
  InferRequest request{};
  ModelServer::Answered answered{};
  std::chrono::steady_clock::time_point start{};
  std::mutex mutex{};  // Guards the rest.
  std::vector<Tensor> tensors{};
  std::vector<std::size_t> waits_for{};
  std::size_t running = 0;
  std::optional<Error> error{};
};

Result<std::unique_ptr<Ensemble>> Ensemble::Make(ModelConfig config, const std::string& name,
                                                 const std::string& version, const FindSpec& find,
                                                 Ask ask) {
  const auto wrong = [&](const std::string& what) {
    return Error{ErrorCode::kInvalidArgument, "ensemble " + Quoted(name) + ": " + what};
  };
  if (config.inputs.empty() || config.outputs.empty()) return wrong("it needs inputs and outputs");
  if (config.ensemble.size() > kMostSteps) {
    return wrong("it has more than " + std::to_string(kMostSteps) + " steps");
  }
  ModelSpec spec{.name = name,
                 .version = version,
                 .platform = "tidewheel_ensemble",
                 .max_batch_size = config.max_batch_size,
                 .inputs = config.inputs,
                 .outputs = config.outputs};
  for (auto* tensors : {&spec.inputs, &spec.outputs}) {
    for (TensorSpec& tensor : *tensors) {
      if (spec.max_batch_size > 0) tensor.shape.insert(tensor.shape.begin(), -1);
    }
  }

  std::map<std::string, Node> nodes;
  for (const TensorSpec& input : spec.inputs) nodes[input.name] = {nodes.size(), input, {}};

  // First what is made, then what is used: steps stand in any order.
  std::vector<ModelSpec> models;
  for (std::size_t i = 0; i < config.ensemble.size(); ++i) {
    const EnsembleStep& step = config.ensemble[i];
    const std::string where = "step " + std::to_string(i + 1) + ", model " + Quoted(step.model);
    auto model = find(step.model, step.version);
    if (!model) return Prefixed("ensemble " + Quoted(name) + ": " + where + ": ", model.error());
    if (spec.max_batch_size > 0 && model->max_batch_size < spec.max_batch_size) {
      return wrong(where + " takes batches of " + std::to_string(model->max_batch_size) +
                   " rows, the ensemble of " + std::to_string(spec.max_batch_size));
    }
    for (const auto& [own, graph] : step.outputs) {
      const TensorSpec* const made = FindTensor(model->outputs, own);
      if (made == nullptr) return wrong(where + " has no output " + Quoted(own));
      const std::size_t index = nodes.size();
      if (!nodes.emplace(graph, Node{index, *made, i}).second) {
        return wrong("tensor " + Quoted(graph) + " is made twice, the second time by " + where);
      }
    }
    models.push_back(std::move(*model));
  }

  std::unique_ptr<Ensemble> ensemble(new Ensemble(std::move(spec), std::move(ask)));
  ensemble->tensors_ = nodes.size();
  ensemble->followers_.resize(models.size());
  for (std::size_t i = 0; i < config.ensemble.size(); ++i) {
    const EnsembleStep& step = config.ensemble[i];
    const std::string where = "step " + std::to_string(i + 1) + ", model " + Quoted(step.model);
    Step planned{.model = step.model, .version = step.version};
    for (const auto& [own, graph] : step.outputs) {
      planned.outputs.emplace_back(own, nodes.at(graph).index);
    }
    for (const TensorSpec& input : models[i].inputs) {
      if (!step.inputs.contains(input.name)) {
        return wrong(where + ": its input " + Quoted(input.name) + " is mapped to nothing");
      }
    }
    std::vector<std::size_t> makers;
    for (const auto& [own, graph] : step.inputs) {
      const TensorSpec* const wanted = FindTensor(models[i].inputs, own);
      if (wanted == nullptr) return wrong(where + " has no input " + Quoted(own));
      const auto node = nodes.find(graph);
      if (node == nodes.end()) return wrong(where + ": nothing makes tensor " + Quoted(graph));
      if (!Agree(node->second.spec, *wanted)) {
        return wrong(where + ": its input " + Quoted(own) + " is " +
                     TypeAndShape(wanted->type, wanted->shape) + ", tensor " + Quoted(graph) +
                     " is " + TypeAndShape(node->second.spec.type, node->second.spec.shape));
      }
      planned.inputs.emplace_back(own, node->second.index);
      if (node->second.made_by) makers.push_back(*node->second.made_by);
    }
    std::sort(makers.begin(), makers.end());
    makers.erase(std::unique(makers.begin(), makers.end()), makers.end());
    planned.waits_for = makers.size();
    for (const std::size_t maker : makers) ensemble->followers_[maker].push_back(i);
    ensemble->steps_.push_back(std::move(planned));
  }
  for (const TensorSpec& output : ensemble->spec_.outputs) {
    const auto node = nodes.find(output.name);
    if (node == nodes.end()) return wrong("nothing makes output " + Quoted(output.name));
    if (!Agree(node->second.spec, output)) {
      return wrong("output " + Quoted(output.name) + " is " +
                   TypeAndShape(output.type, output.shape) + ", what makes it gives " +
                   TypeAndShape(node->second.spec.type, node->second.spec.shape));
    }
    ensemble->outputs_.push_back(node->second.index);
  }

  // Steps in an order in which none waits for a later one (Kahn 1962); who is left is in a circle.
  std::vector<std::size_t> waits_for;
  std::vector<std::size_t> ready;
  for (std::size_t i = 0; i < ensemble->steps_.size(); ++i) {
    waits_for.push_back(ensemble->steps_[i].waits_for);
    if (waits_for[i] == 0) ready.push_back(i);
  }
  std::size_t done = 0;
  for (; done < ready.size(); ++done) {
    for (const std::size_t follower : ensemble->followers_[ready[done]]) {
      if (--waits_for[follower] == 0) ready.push_back(follower);
    }
  }
  for (std::size_t i = 0; i < waits_for.size(); ++i) {
    if (waits_for[i] > 0) {
      return wrong("step " + std::to_string(i + 1) + ", model " + Quoted(config.ensemble[i].model) +
                   ", is in a circle or waits for one");
    }
  }
  return ensemble;
}

std::vector<std::string> Ensemble::models() const {
  std::vector<std::string> models;
  for (const Step& step : steps_) models.push_back(step.model);
  return models;
}

bool Ensemble::Submit(InferRequest& request, ModelServer::Answered& answered) {
  held_.fetch_add(1);
  if (draining_.load()) {
    held_.fetch_sub(1);
    return false;
  }
  auto run = std::make_shared<Run>();
  run->start = std::chrono::steady_clock::now();
  run->request = std::move(request);
  run->answered = std::move(answered);
  run->tensors.resize(tensors_);
  for (std::size_t i = 0; i < run->request.inputs.size(); ++i) {
    run->tensors[i] = run->request.inputs[i];
  }
  std::vector<std::size_t> first;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    run->waits_for.push_back(steps_[i].waits_for);
    if (steps_[i].waits_for == 0) first.push_back(i);
  }
  run->running = first.size();
  // Of a run that a step ends early the others are still asked: their answers are counted.
  for (const std::size_t step : first) Launch(run, step);
  return true;
}

void Ensemble::Launch(const std::shared_ptr<Run>& run, std::size_t index) {
  const Step& step = steps_[index];
  InferRequest request{.model_name = step.model,
                       .model_version = step.version,
                       .id = run->request.id,
                       .priority = run->request.priority,
                       .timeout = run->request.timeout,
                       .deadline = run->request.deadline,
                       .cancelled = run->request.cancelled,
                       .owner = run};
  request.inputs.reserve(step.inputs.size());
  {
    const std::lock_guard lock(run->mutex);
    for (const auto& [name, tensor] : step.inputs) {
      request.inputs.push_back(run->tensors[tensor]);
      request.inputs.back().name = name;
    }
  }
  for (const auto& [name, tensor] : step.outputs) request.outputs.push_back(name);
  ask_(std::move(request),
       [this, run, index](Result<InferResponse> answer) { Take(run, index, std::move(answer)); });
}

void Ensemble::Take(const std::shared_ptr<Run>& run, std::size_t index,
                    Result<InferResponse> answer) {
  std::vector<std::size_t> next;
  bool last = false;
  {
    const std::lock_guard lock(run->mutex);
    const Step& step = steps_[index];
    if (answer && answer->outputs.size() != step.outputs.size() && !step.outputs.empty()) {
      answer = Error{ErrorCode::kInternal, "model " + Quoted(step.model) + " answered " +
                                               std::to_string(answer->outputs.size()) + " of " +
                                               std::to_string(step.outputs.size()) + " outputs"};
    }
    if (!answer) {
      if (!run->error) {
        run->error = Prefixed("step " + std::to_string(index + 1) + ": ", answer.error());
      }
    } else {
      for (std::size_t i = 0; i < step.outputs.size(); ++i) {
        run->tensors[step.outputs[i].second] = std::move(answer->outputs[i]);
      }
    }
    if (!run->error) {
      for (const std::size_t follower : followers_[index]) {
        if (--run->waits_for[follower] == 0) next.push_back(follower);
      }
    }
    run->running += next.size();
    last = --run->running == 0;
  }
  for (const std::size_t step : next) Launch(run, step);
  if (last) Finish(run);
}

void Ensemble::Finish(const std::shared_ptr<Run>& run) {
  const auto took = std::chrono::steady_clock::now() - run->start;
  const InferRequest& request = run->request;
  const ModelServer::Answered answered = std::move(run->answered);
  if (run->error) {
    failed_.fetch_add(1, std::memory_order_relaxed);
    answered(*run->error);
  } else {
    InferResponse response{.model_name = spec_.name,
                           .model_version = spec_.version,
                           .id = request.id,
                           .phases = {.infer = took},
                           .batch_size = 1};
    if (spec_.max_batch_size > 0 && !request.inputs[0].shape.empty()) {
      response.batch_size = static_cast<std::size_t>(request.inputs[0].shape[0]);
    }
    const auto add = [&](std::size_t output) {
      response.outputs.push_back(run->tensors[outputs_[output]]);
      response.outputs.back().name = spec_.outputs[output].name;
      // An input that is passed on is a view of the request, which goes with the run.
      if (response.outputs.back().owner == nullptr) response.outputs.back().owner = run;
    };
    for (std::size_t i = 0; i < spec_.outputs.size(); ++i) {
      if (request.outputs.empty()) add(i);
    }
    for (const std::string& name : request.outputs) {
      for (std::size_t i = 0; i < spec_.outputs.size(); ++i) {
        if (spec_.outputs[i].name == name) add(i);
      }
    }
    rows_.fetch_add(response.batch_size, std::memory_order_relaxed);
    succeeded_.fetch_add(1, std::memory_order_relaxed);
    nanoseconds_.fetch_add(static_cast<std::uint64_t>(took.count()), std::memory_order_relaxed);
    last_ms_.store(std::chrono::duration_cast<std::chrono::milliseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count(),
                   std::memory_order_relaxed);
    answered(std::move(response));
  }
  held_.fetch_sub(1);  // The last touch: the ensemble may go.
}

void Ensemble::Drain() {
  draining_.store(true);
  // Who answers leaves without a word, lest it touch what may be gone: so look now and then.
  while (held_.load() != 0) std::this_thread::sleep_for(std::chrono::microseconds{200});
}

ModelStatistics Ensemble::Statistics() const {
  ModelStatistics statistics;
  statistics.name = spec_.name;
  statistics.version = spec_.version;
  statistics.inference_count = rows_.load(std::memory_order_relaxed);
  statistics.execution_count = succeeded_.load(std::memory_order_relaxed);
  statistics.success = {succeeded_.load(std::memory_order_relaxed),
                        nanoseconds_.load(std::memory_order_relaxed)};
  statistics.infer = statistics.success;
  statistics.fail.count = failed_.load(std::memory_order_relaxed);
  statistics.last_inference_ms =
      static_cast<std::uint64_t>(last_ms_.load(std::memory_order_relaxed));
  return statistics;
}

}  // namespace tidewheel::inference
