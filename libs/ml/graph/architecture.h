#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::ml {

/// Channels x height x width of one row of input.
struct ImageShape {
  int channels = 0;
  int height = 0;
  int width = 0;

  std::size_t elements() const {
    return static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) *
           static_cast<std::size_t>(width);
  }
  friend bool operator==(const ImageShape&, const ImageShape&) = default;
};

/// Stride 1, zeros around the picture.
struct Conv2d {
  int channels = 0;
  int kernel = 3;
  int padding = 1;
  friend bool operator==(const Conv2d&, const Conv2d&) = default;
};
struct Relu {
  friend bool operator==(const Relu&, const Relu&) = default;
};
/// Windows that do not overlap; an incomplete one at the edge is left out.
struct MaxPool {
  int size = 2;
  friend bool operator==(const MaxPool&, const MaxPool&) = default;
};
/// The mean over height and width.
struct GlobalAveragePool {
  friend bool operator==(const GlobalAveragePool&, const GlobalAveragePool&) = default;
};
struct Flatten {
  friend bool operator==(const Flatten&, const Flatten&) = default;
};
struct Linear {
  int outputs = 0;
  friend bool operator==(const Linear&, const Linear&) = default;
};
/// Only while training.
struct Dropout {
  double rate = 0.5;
  friend bool operator==(const Dropout&, const Dropout&) = default;
};

using Layer = std::variant<Conv2d, Relu, MaxPool, GlobalAveragePool, Flatten, Linear, Dropout>;

/// The one definition of a model: the TorchScript module and the ONNX graph are both made from it.
/// The last layer gives one logit for each class; the softmax that makes probabilities of them
/// follows by itself. The embedding is what goes into the last linear layer times a fixed random
/// matrix (embedding.h): it is not trained and changes no probability.
struct Architecture {
  ImageShape input;
  int classes = 0;
  std::vector<Layer> layers;
  /// How many numbers the embedding has; 0: there is none.
  int embedding = 0;

  friend bool operator==(const Architecture&, const Architecture&) = default;
};

/// A trainable tensor of an architecture.
struct Parameter {
  std::string name;                 // "layer0_weight"
  std::vector<std::int64_t> shape;  // As both LibTorch and ONNX want it: outputs first.
  std::int64_t fan_in = 0;          // Inputs of one output; 0 for a bias.
  bool before_relu = false;         // What the He initialisation asks.

  std::size_t elements() const;
};

/// A layer with the names of its parameters, in the order of the list.
struct PlannedLayer {
  Layer layer;
  std::string weight;  // Empty where the layer has none.
  std::string bias;
};

/// An architecture whose sizes have been worked out.
struct ArchitecturePlan {
  std::vector<PlannedLayer> layers;
  std::vector<Parameter> parameters;
  double flops_per_row = 0;  // Forward, multiply and add counted as two; without the embedding.
  // With an embedding: which layer its numbers go into, and how many they are.
  std::size_t last_linear = 0;
  std::int64_t embedding_inputs = 0;
};

/// kInvalidArgument names the layer whose sizes do not fit, and the limit of one that is too large
/// (2^28 parameters in all), or says why there can be no embedding.
Result<ArchitecturePlan> PlanArchitecture(const Architecture& architecture);

/// The recipes that are built in: "image-linear", "image-cnn".
std::vector<std::string_view> RecipeNames();

inline constexpr int kDefaultEmbeddingNumbers = 16;

/// kNotFound lists the recipes there are; kInvalidArgument: the recipe cannot take this shape.
Result<Architecture> MakeArchitecture(std::string_view recipe, const ImageShape& input, int classes,
                                      int embedding = kDefaultEmbeddingNumbers);

/// One line for the input, one for the classes, one for each layer: "conv2d channels=32 kernel=3
/// padding=1", and one for the embedding if there is one.
std::string PrintArchitecture(const Architecture& architecture);

/// Reads what PrintArchitecture wrote. kInvalidArgument names the line.
Result<Architecture> ParseArchitecture(std::string_view text);

}  // namespace tidewheel::ml
