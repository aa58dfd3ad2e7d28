#include "tidewheel/inference/core/request_check.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace tidewheel::inference {
namespace {

// Names come from requests: an error repeats only their beginning.
std::string Quoted(const std::string& name) { return "\"" + name.substr(0, 80) + "\""; }

Error Refusal(const ModelSpec& spec, const std::string& what) {
  return {ErrorCode::kInvalidArgument, "model " + Quoted(spec.name) + ": " + what};
}

std::string Names(const std::vector<TensorSpec>& tensors) {
  std::string names;
  for (const TensorSpec& tensor : tensors) {
    names += (names.empty() ? "" : ", ") + Quoted(tensor.name) + " " +
             TypeAndShape(tensor.type, tensor.shape);
  }
  return names.empty() ? "none" : names;
}

std::size_t IndexOf(const std::vector<TensorSpec>& tensors, const std::string& name) {
  std::size_t i = 0;
  while (i < tensors.size() && tensors[i].name != name) ++i;
  return i;
}

Result<void> Arrange(const ModelSpec& spec, std::vector<Tensor>& inputs) {
  bool in_order = inputs.size() == spec.inputs.size();
  for (std::size_t i = 0; in_order && i < inputs.size(); ++i) {
    in_order = inputs[i].name == spec.inputs[i].name;
  }
  if (in_order) return {};

  std::vector<std::size_t> places(spec.inputs.size(), inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::size_t place = IndexOf(spec.inputs, inputs[i].name);
    if (place == spec.inputs.size()) {
      return Refusal(spec, "there is no input " + Quoted(inputs[i].name) + "; the inputs are " +
                               Names(spec.inputs));
    }
    if (places[place] != inputs.size()) {
      return Refusal(spec, "input " + Quoted(inputs[i].name) + " is given twice");
    }
    places[place] = i;
  }
  std::vector<Tensor> arranged;
  arranged.reserve(places.size());
  for (std::size_t place = 0; place < places.size(); ++place) {
    if (places[place] == inputs.size()) {
      return Refusal(spec, "input " + Quoted(spec.inputs[place].name) + ", " +
                               TypeAndShape(spec.inputs[place].type, spec.inputs[place].shape) +
                               ", is not given");
    }
    arranged.push_back(std::move(inputs[places[place]]));
  }
  inputs = std::move(arranged);
  return {};
}

}  // namespace

std::string TypeAndShape(DataType type, const std::vector<std::int64_t>& shape) {
  std::string text(Name(type));
  text += " [";
  // A shape comes from a request: a long one is not repeated in full.
  constexpr std::size_t kMostShown = 16;
  for (std::size_t i = 0; i < shape.size() && i < kMostShown; ++i) {
    text += (i == 0 ? "" : ",") + std::to_string(shape[i]);
  }
  return text + (shape.size() > kMostShown ? ",...]" : "]");
}

bool Fits(const std::vector<std::int64_t>& wanted, const std::vector<std::int64_t>& given) {
  if (wanted.size() != given.size()) return false;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] >= 0 ? wanted[i] != given[i] : given[i] < 0) return false;
  }
  return true;
}

Result<std::size_t> FitToSpec(const ModelSpec& spec, InferRequest& request) {
  if (const auto arranged = Arrange(spec, request.inputs); !arranged) return arranged.error();

  std::size_t rows = 1;
  for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
    const TensorSpec& wanted = spec.inputs[i];
    const Tensor& given = request.inputs[i];
    if (!wanted.any && (given.type != wanted.type || !Fits(wanted.shape, given.shape))) {
      return Refusal(spec, "input " + Quoted(wanted.name) + " is " +
                               TypeAndShape(wanted.type, wanted.shape) + ", the request gives " +
                               TypeAndShape(given.type, given.shape));
    }
    if (const auto checked = given.Check(); !checked) {
      return Refusal(spec, checked.error().message);
    }
    if (spec.max_batch_size == 0 || given.shape.empty()) continue;
    const auto own = static_cast<std::size_t>(given.shape.front());
    if (i == 0) {
      rows = own;
      if (rows == 0) return Refusal(spec, "input " + Quoted(wanted.name) + " has no rows");
      if (rows > spec.max_batch_size) {
        return Refusal(spec, "a batch of " + std::to_string(rows) + " rows, it takes at most " +
                                 std::to_string(spec.max_batch_size));
      }
    } else if (own != rows) {
      return Refusal(spec, "input " + Quoted(wanted.name) + " has " + std::to_string(own) +
                               " rows, input " + Quoted(spec.inputs.front().name) + " has " +
                               std::to_string(rows));
    }
  }
  for (std::size_t i = 0; i < request.outputs.size(); ++i) {
    const std::string& name = request.outputs[i];
    if (IndexOf(spec.outputs, name) == spec.outputs.size()) {
      return Refusal(
          spec, "there is no output " + Quoted(name) + "; the outputs are " + Names(spec.outputs));
    }
    if (std::find(request.outputs.begin(), request.outputs.begin() + static_cast<std::ptrdiff_t>(i),
                  name) != request.outputs.begin() + static_cast<std::ptrdiff_t>(i)) {
      return Refusal(spec, "output " + Quoted(name) + " is asked for twice");
    }
  }
  return rows;
}

}  // namespace tidewheel::inference
