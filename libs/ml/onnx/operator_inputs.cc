#include "tidewheel/ml/onnx/internal/operator_inputs.h"

#include <map>

namespace tidewheel::ml {

std::size_t LeastInputs(std::string_view op, std::int64_t opset) {
  // Since a version what had been attributes are inputs.
  struct Since {
    std::int64_t opset;
    std::size_t least;
  };
  static const std::map<std::string_view, Since> kGrown = {
      {"Pad", {11, 2}},  {"Reshape", {5, 2}},    {"Slice", {10, 3}},
      {"TopK", {10, 2}}, {"Unsqueeze", {13, 2}}, {"Upsample", {9, 2}},
  };
  if (const auto grown = kGrown.find(op); grown != kGrown.end()) {
    return opset >= grown->second.opset ? grown->second.least : 1;
  }
  // All others of ONNX 1.23's operators take one at least, in every version.
  static const std::map<std::string_view, std::size_t> kLeast = {
      {"Add", 2},
      {"AffineGrid", 2},
      {"And", 2},
      {"Attention", 3},
      {"BatchNormalization", 5},
      {"BitShift", 2},
      {"BitwiseAnd", 2},
      {"BitwiseOr", 2},
      {"BitwiseXor", 2},
      {"CastLike", 2},
      {"CausalConvWithState", 2},
      {"CenterCropPad", 2},
      {"Col2Im", 3},
      {"Compress", 2},
      {"Constant", 0},
      {"Conv", 2},
      {"ConvInteger", 2},
      {"ConvTranspose", 2},
      {"CumProd", 2},
      {"CumSum", 2},
      {"DeformConv", 3},
      {"DequantizeLinear", 2},
      {"Div", 2},
      {"Equal", 2},
      {"Expand", 2},
      {"GRU", 3},
      {"Gather", 2},
      {"GatherElements", 2},
      {"GatherND", 2},
      {"Gemm", 2},
      {"Greater", 2},
      {"GreaterOrEqual", 2},
      {"GridSample", 2},
      {"GroupNormalization", 3},
      {"InstanceNormalization", 3},
      {"LSTM", 3},
      {"LayerNormalization", 2},
      {"Less", 2},
      {"LessOrEqual", 2},
      {"LinearAttention", 3},
      {"Loop", 0},
      {"MatMul", 2},
      {"MatMulInteger", 2},
      {"MaxRoiPool", 2},
      {"MaxUnpool", 2},
      {"MelWeightMatrix", 5},
      {"Mod", 2},
      {"Mul", 2},
      {"NegativeLogLikelihoodLoss", 2},
      {"NonMaxSuppression", 2},
      {"OneHot", 3},
      {"Optional", 0},
      {"OptionalHasElement", 0},
      {"Or", 2},
      {"PRelu", 2},
      {"Pow", 2},
      {"QLinearConv", 8},
      {"QLinearMatMul", 8},
      {"QuantizeLinear", 2},
      {"RMSNormalization", 2},
      {"RNN", 3},
      {"RandomNormal", 0},
      {"RandomUniform", 0},
      {"Range", 3},
      {"ReverseSequence", 2},
      {"RoiAlign", 3},
      {"RotaryEmbedding", 3},
      {"STFT", 2},
      {"Scatter", 3},
      {"ScatterElements", 3},
      {"ScatterND", 3},
      {"SequenceAt", 2},
      {"SequenceEmpty", 0},
      {"SequenceInsert", 2},
      {"SoftmaxCrossEntropyLoss", 2},
      {"StringConcat", 2},
      {"Sub", 2},
      {"SwiGLU", 2},
      {"TensorScatter", 2},
      {"Tile", 2},
      {"Where", 3},
      {"Xor", 2},
  };
  const auto known = kLeast.find(op);
  return known == kLeast.end() ? 1 : known->second;
}

}  // namespace tidewheel::ml
