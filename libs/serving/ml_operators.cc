#include "tidewheel/serving/internal/ml_operators.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <openvino/core/except.hpp>
#include <openvino/frontend/node_context.hpp>
#include <openvino/frontend/onnx/extension/conversion.hpp>
#include <openvino/opsets/opset13.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// Definitions of the operators: the ONNX specification of the domain ai.onnx.ml.
namespace tidewheel::serving {
namespace {

namespace op = ov::opset13;
using Value = ov::Output<ov::Node>;
using Values = ov::OutputVector;
using Context = ov::frontend::NodeContext;

template <typename Operator, typename... Arguments>
Value Make(Arguments&&... arguments) {
  return std::make_shared<Operator>(std::forward<Arguments>(arguments)...)->output(0);
}

Value Number(float number) {
  return Make<op::Constant>(ov::element::f32, ov::Shape{}, std::vector<float>{number});
}
Value Floats(ov::Shape shape, const std::vector<float>& numbers) {
  return Make<op::Constant>(ov::element::f32, shape, numbers);
}
Value Row(const std::vector<float>& numbers) { return Floats({1, numbers.size()}, numbers); }
Value Whole(const std::vector<std::int64_t>& numbers) {
  return Make<op::Constant>(ov::element::i64, ov::Shape{numbers.size()}, numbers);
}
Value Axis(std::int64_t axis) {
  return Make<op::Constant>(ov::element::i64, ov::Shape{}, std::vector<std::int64_t>{axis});
}
Value AsFloat(const Value& value) { return Make<op::Convert>(value, ov::element::f32); }

[[noreturn]] void Refuse(const char* kind, const std::string& what) {
  throw std::runtime_error(std::string(kind) + " " + what);
}

/// The reader gives floats as doubles.
std::vector<float> FloatsOf(const Context& node, const char* name) {
  const ov::Any numbers = node.get_attribute_as_any(name);
  if (numbers.empty()) return {};
  if (numbers.is<std::vector<float>>()) return numbers.as<std::vector<float>>();
  std::vector<float> floats;
  for (const double number : numbers.as<std::vector<double>>()) {
    floats.push_back(static_cast<float>(number));
  }
  return floats;
}
float FloatOf(const Context& node, const char* name) {
  const ov::Any number = node.get_attribute_as_any(name);
  if (number.empty()) return 0;
  return number.is<float>() ? number.as<float>() : static_cast<float>(number.as<double>());
}
std::vector<std::int64_t> WholeOf(const Context& node, const char* name) {
  return node.get_attribute<std::vector<std::int64_t>>(name, {});
}
std::vector<std::string> TextsOf(const Context& node, const char* name) {
  return node.get_attribute<std::vector<std::string>>(name, {});
}

/// Two sizes: rows and features. A model of one row may leave the rows out.
Value Table(const Context& node, const char* kind) {
  const Value input = node.get_input(0);
  const auto rank = input.get_partial_shape().rank();
  if (rank.is_dynamic() || rank.get_length() < 1 || rank.get_length() > 2) {
    Refuse(kind, "takes rows of features");
  }
  const Value numbers = AsFloat(input);
  return rank.get_length() == 2 ? numbers : Make<op::Unsqueeze>(numbers, Axis(0));
}

Values Scaler(const Context& node) {
  const auto offset = FloatsOf(node, "offset");
  const auto scale = FloatsOf(node, "scale");
  if (offset.empty() || scale.empty()) Refuse("Scaler", "has no offset or scale");
  return {
      Make<op::Multiply>(Make<op::Subtract>(AsFloat(node.get_input(0)), Row(offset)), Row(scale))};
}

Values Normalizer(const Context& node) {
  const Value x = Table(node, "Normalizer");
  const auto norm = node.get_attribute<std::string>("norm", "MAX");
  const Value axis = Axis(1);
  Value size;
  if (norm == "MAX") {
    size = Make<op::ReduceMax>(x, axis, true);
  } else if (norm == "L1") {
    size = Make<op::ReduceSum>(Make<op::Abs>(x), axis, true);
  } else if (norm == "L2") {
    size = Make<op::Sqrt>(Make<op::ReduceSum>(Make<op::Multiply>(x, x), axis, true));
  } else {
    Refuse("Normalizer", "has the norm " + norm);
  }
  // A row of zeros stays one.
  const Value none = Make<op::Equal>(size, Number(0));
  return {Make<op::Divide>(x, Make<op::Select>(none, Number(1), size))};
}

Values Binarizer(const Context& node) {
  const Value above =
      Make<op::Greater>(AsFloat(node.get_input(0)), Number(FloatOf(node, "threshold")));
  return {AsFloat(above)};
}

Values Imputer(const Context& node) {
  const auto imputed = FloatsOf(node, "imputed_value_floats");
  if (imputed.empty()) Refuse("Imputer", "has no imputed_value_floats");
  const auto replaced = FloatOf(node, "replaced_value_float");
  const Value x = AsFloat(node.get_input(0));
  const Value missing =
      std::isnan(replaced) ? Make<op::IsNaN>(x) : Make<op::Equal>(x, Number(replaced));
  return {Make<op::Select>(missing, Row(imputed), x)};
}

Values FeatureVectorizer(const Context& node) {
  Values parts;
  for (int i = 0; i < static_cast<int>(node.get_input_size()); ++i) {
    parts.push_back(AsFloat(node.get_input(i)));
  }
  if (parts.empty()) Refuse("FeatureVectorizer", "has no inputs");
  return {Make<op::Concat>(parts, 1)};
}

Values ArrayFeatureExtractor(const Context& node) {
  Value x = node.get_input(0);
  if (x.get_element_type() == ov::element::string) {
    // A list of labels, of which the engine knows the places alone.
    const auto list = ov::as_type_ptr<op::Constant>(x.get_node_shared_ptr());
    if (list == nullptr) Refuse("ArrayFeatureExtractor", "takes texts that are no constant");
    const auto named = std::make_shared<op::Convert>(
        Make<op::Reshape>(node.get_input(1), Whole({1, -1}), false), ov::element::i64);
    named->get_rt_info()[kTexts] = list->cast_vector<std::string>();
    return {named->output(0)};
  }
  const auto rank = x.get_partial_shape().rank();
  if (rank.is_dynamic() || rank.get_length() < 1)
    Refuse("ArrayFeatureExtractor", "takes no scalar");
  if (rank.get_length() == 1) x = Make<op::Unsqueeze>(x, Axis(0));
  const Value places = Make<op::Reshape>(node.get_input(1), Whole({-1}), false);
  return {Make<op::Gather>(x, places, Axis(-1))};
}

/// Scores as `post_transform` wants them answered.
Value Transformed(const Context& node, const char* kind, const Value& scores) {
  const auto transform = node.get_attribute<std::string>("post_transform", "NONE");
  if (transform == "NONE") return scores;
  if (transform == "SOFTMAX") return Make<op::Softmax>(scores, std::int64_t{1});
  if (transform == "LOGISTIC") return Make<op::Sigmoid>(scores);
  Refuse(kind, "has the post_transform " + transform);
}

/// The labels that stand at these places of the list.
Value Labels(const Context& node, const char* kind, const Value& places) {
  const auto numbers = WholeOf(node, "classlabels_int64s").empty()
                           ? WholeOf(node, "classlabels_ints")
                           : WholeOf(node, "classlabels_int64s");
  if (!numbers.empty()) return Make<op::Gather>(Whole(numbers), places, Axis(0));
  const auto texts = TextsOf(node, "classlabels_strings");
  if (texts.empty()) Refuse(kind, "has no class labels");
  const auto named = std::make_shared<op::Convert>(places, ov::element::i64);
  named->get_rt_info()[kTexts] = texts;
  return named->output(0);
}

std::size_t CountLabels(const Context& node) {
  return std::max({WholeOf(node, "classlabels_int64s").size(),
                   WholeOf(node, "classlabels_ints").size(),
                   TextsOf(node, "classlabels_strings").size()});
}

Value Largest(const Value& scores) {
  const auto top = std::make_shared<op::TopK>(scores, Axis(1), 1, op::TopK::Mode::MAX,
                                              op::TopK::SortType::SORT_VALUES, ov::element::i64);
  return Make<op::Squeeze>(top->output(1), Axis(1));
}

/// rows x outputs.
Value LinearScores(const Context& node, const char* kind, const std::vector<float>& coefficients,
                   std::size_t outputs) {
  const Value x = Table(node, kind);
  if (outputs == 0 || coefficients.empty() || coefficients.size() % outputs != 0) {
    Refuse(kind, "has coefficients that do not fit its answers");
  }
  const Value weights = Floats({outputs, coefficients.size() / outputs}, coefficients);
  const Value scores = Make<op::MatMul>(x, weights, false, true);
  const auto intercepts = FloatsOf(node, "intercepts");
  if (intercepts.empty()) return scores;
  if (intercepts.size() != outputs) Refuse(kind, "has intercepts that do not fit its answers");
  return Make<op::Add>(scores, Row(intercepts));
}

/// Two classes that one score tells apart: the label's place and both scores. `all_positive`: the
/// score is a share of votes, else it is above or below zero.
std::pair<Value, Value> OfOneScore(const Context& node, const char* kind, const Value& score,
                                   bool all_positive) {
  const auto transform = node.get_attribute<std::string>("post_transform", "NONE");
  const Value second = Make<op::Greater>(score, Number(all_positive ? 0.5F : 0.0F));
  const Value place = Make<op::Squeeze>(Make<op::Convert>(second, ov::element::i64), Axis(1));
  Value first;
  Value other = score;
  if (transform == "LOGISTIC") {
    other = Make<op::Sigmoid>(score);
    first = all_positive ? Make<op::Sigmoid>(Make<op::Subtract>(Number(1), score))
                         : Make<op::Sigmoid>(Make<op::Negative>(score));
  } else if (transform == "NONE") {
    first = all_positive ? Make<op::Subtract>(Number(1), score) : Make<op::Negative>(score);
  } else {
    Refuse(kind, "of one score has the post_transform " + transform);
  }
  return {place, Make<op::Concat>(Values{first, other}, 1)};
}

Values LinearClassifier(const Context& node) {
  constexpr char kKind[] = "LinearClassifier";
  const std::size_t classes = CountLabels(node);
  const auto coefficients = FloatsOf(node, "coefficients");
  const auto intercepts = FloatsOf(node, "intercepts");
  const bool one = classes == 2 && intercepts.size() == 1;
  const Value scores = LinearScores(node, kKind, coefficients, one ? 1 : classes);
  if (one) {
    const auto [place, both] = OfOneScore(node, kKind, scores, false);
    return {Labels(node, kKind, place), both};
  }
  return {Labels(node, kKind, Largest(scores)), Transformed(node, kKind, scores)};
}

Values LinearRegressor(const Context& node) {
  constexpr char kKind[] = "LinearRegressor";
  const auto targets = node.get_attribute<std::int64_t>("targets", 1);
  if (targets < 1) Refuse(kKind, "has no targets");
  const Value scores =
      LinearScores(node, kKind, FloatsOf(node, "coefficients"), static_cast<std::size_t>(targets));
  return {Transformed(node, kKind, scores)};
}

/// All trees of an ensemble as tables over their nodes, one tree after the other.
struct Trees {
  std::vector<std::int64_t> roots;
  std::vector<std::int64_t> features;
  std::vector<float> thresholds;
  std::vector<std::int64_t> if_true;  // A leaf leads to itself.
  std::vector<std::int64_t> if_false;
  std::vector<float> weights;  // nodes x outputs; zeros but at leaves.
  std::size_t outputs = 0;
  std::string mode;  // One for all.
  int depth = 0;
};

Trees TreesOf(const Context& node, const char* kind, const std::string& answers,
              std::size_t outputs) {
  constexpr std::size_t kMostNodes = 10'000'000;
  constexpr int kMostDepth = 256;
  const auto trees = WholeOf(node, "nodes_treeids");
  const auto ids = WholeOf(node, "nodes_nodeids");
  const auto features = WholeOf(node, "nodes_featureids");
  const auto modes = TextsOf(node, "nodes_modes");
  const auto values = FloatsOf(node, "nodes_values");
  const auto yes = WholeOf(node, "nodes_truenodeids");
  const auto no = WholeOf(node, "nodes_falsenodeids");
  const auto missing = WholeOf(node, "nodes_missing_value_tracks_true");
  const std::size_t count = ids.size();
  if (count == 0 || count > kMostNodes || trees.size() != count || features.size() != count ||
      modes.size() != count || values.size() != count || yes.size() != count ||
      no.size() != count) {
    Refuse(kind, "has lists of nodes that do not fit each other");
  }
  if (std::any_of(missing.begin(), missing.end(), [](std::int64_t one) { return one != 0; })) {
    Refuse(kind, "tracks missing values");
  }
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> places;
  for (std::size_t i = 0; i < count; ++i) {
    if (!places.emplace(std::pair{trees[i], ids[i]}, static_cast<std::int64_t>(i)).second) {
      Refuse(kind, "has a node twice");
    }
  }
  const auto place_of = [&](std::int64_t tree, std::int64_t id) {
    const auto found = places.find({tree, id});
    if (found == places.end()) Refuse(kind, "names a node that is not there");
    return found->second;
  };

  Trees all;
  all.outputs = outputs;
  all.features.resize(count);
  all.thresholds.resize(count);
  all.if_true.resize(count);
  all.if_false.resize(count);
  std::vector<char> is_child(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto self = static_cast<std::int64_t>(i);
    if (modes[i] == "LEAF") {
      all.if_true[i] = all.if_false[i] = self;
      continue;
    }
    if (all.mode.empty()) all.mode = modes[i];
    if (modes[i] != all.mode) Refuse(kind, "compares in more than one way");
    if (features[i] < 0) Refuse(kind, "has a negative feature");
    all.features[i] = features[i];
    all.thresholds[i] = values[i];
    all.if_true[i] = place_of(trees[i], yes[i]);
    all.if_false[i] = place_of(trees[i], no[i]);
    is_child[static_cast<std::size_t>(all.if_true[i])] = 1;
    is_child[static_cast<std::size_t>(all.if_false[i])] = 1;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (is_child[i] == 0) all.roots.push_back(static_cast<std::int64_t>(i));
  }
  // One level after the other; what is not a tree never ends.
  std::vector<std::int64_t> level = all.roots;
  std::size_t visited = 0;
  for (all.depth = 0; !level.empty(); ++all.depth) {
    std::vector<std::int64_t> next;
    for (const std::int64_t at : level) {
      const auto i = static_cast<std::size_t>(at);
      if (++visited > count) Refuse(kind, "has nodes that are no trees");
      if (all.if_true[i] == at) continue;
      next.push_back(all.if_true[i]);
      next.push_back(all.if_false[i]);
    }
    level = std::move(next);
    if (all.depth > kMostDepth) Refuse(kind, "is deeper than 256");
  }
  if (visited != count || all.roots.empty()) Refuse(kind, "has nodes that are no trees");

  const auto leaf_trees = WholeOf(node, (answers + "_treeids").c_str());
  const auto leaf_ids = WholeOf(node, (answers + "_nodeids").c_str());
  const auto leaf_outputs = WholeOf(node, (answers + "_ids").c_str());
  const auto leaf_weights = FloatsOf(node, (answers + "_weights").c_str());
  if (leaf_ids.size() != leaf_trees.size() || leaf_outputs.size() != leaf_trees.size() ||
      leaf_weights.size() != leaf_trees.size()) {
    Refuse(kind, "has lists of leaves that do not fit each other");
  }
  if (outputs == 0 || count > kMostNodes / outputs) Refuse(kind, "has too many answers");
  all.weights.resize(count * outputs);
  for (std::size_t i = 0; i < leaf_trees.size(); ++i) {
    const auto at = static_cast<std::size_t>(place_of(leaf_trees[i], leaf_ids[i]));
    if (leaf_outputs[i] < 0 || static_cast<std::size_t>(leaf_outputs[i]) >= outputs) {
      Refuse(kind, "has a leaf of an answer that is not there");
    }
    all.weights[at * outputs + static_cast<std::size_t>(leaf_outputs[i])] += leaf_weights[i];
  }
  return all;
}

Value Compare(const char* kind, const std::string& mode, const Value& x, const Value& threshold) {
  if (mode == "BRANCH_LEQ" || mode.empty()) return Make<op::LessEqual>(x, threshold);
  if (mode == "BRANCH_LT") return Make<op::Less>(x, threshold);
  if (mode == "BRANCH_GTE") return Make<op::GreaterEqual>(x, threshold);
  if (mode == "BRANCH_GT") return Make<op::Greater>(x, threshold);
  if (mode == "BRANCH_EQ") return Make<op::Equal>(x, threshold);
  if (mode == "BRANCH_NEQ") return Make<op::NotEqual>(x, threshold);
  Refuse(kind, "compares by " + mode);
}

/// rows x outputs: each row goes down all trees at once, a level a step.
Value TreeScores(const Context& node, const char* kind, const Trees& trees) {
  const Value x = Table(node, kind);
  // The engine reads beyond the row where it is told to.
  const auto width_of_row = x.get_partial_shape()[1];
  const std::int64_t last = *std::max_element(trees.features.begin(), trees.features.end());
  if (width_of_row.is_dynamic() || last >= width_of_row.get_length()) {
    Refuse(kind, "looks at feature " + std::to_string(last) + ", which its input may not have");
  }
  const Value features = Whole(trees.features);
  const Value thresholds = Floats({trees.thresholds.size()}, trees.thresholds);
  const Value if_true = Whole(trees.if_true);
  const Value if_false = Whole(trees.if_false);
  const Value rows = Make<op::Gather>(Make<op::ShapeOf>(x, ov::element::i64), Whole({0}), Axis(0));
  const auto width = static_cast<std::int64_t>(trees.roots.size());
  Value at = Make<op::Broadcast>(
      Make<op::Constant>(ov::element::i64, ov::Shape{1, trees.roots.size()}, trees.roots),
      Make<op::Concat>(Values{rows, Whole({width})}, 0));
  for (int level = 1; level < trees.depth; ++level) {
    const Value numbers = Make<op::GatherElements>(x, Make<op::Gather>(features, at, Axis(0)), 1);
    const Value holds =
        Compare(kind, trees.mode, numbers, Make<op::Gather>(thresholds, at, Axis(0)));
    at = Make<op::Select>(holds, Make<op::Gather>(if_true, at, Axis(0)),
                          Make<op::Gather>(if_false, at, Axis(0)));
  }
  const Value weights =
      Floats({trees.weights.size() / trees.outputs, trees.outputs}, trees.weights);
  return Make<op::ReduceSum>(Make<op::Gather>(weights, at, Axis(0)), Axis(1), false);
}

Value WithBase(const Context& node, const char* kind, const Value& scores, std::size_t outputs) {
  const auto base = FloatsOf(node, "base_values");
  if (base.empty()) return scores;
  if (base.size() != outputs) Refuse(kind, "has base values that do not fit its answers");
  return Make<op::Add>(scores, Row(base));
}

Values TreeEnsembleClassifier(const Context& node) {
  constexpr char kKind[] = "TreeEnsembleClassifier";
  const std::size_t classes = CountLabels(node);
  const auto ids = WholeOf(node, "class_ids");
  const auto weights = FloatsOf(node, "class_weights");
  const std::set<std::int64_t> used(ids.begin(), ids.end());
  const Trees trees = TreesOf(node, kKind, "class", classes);
  Value scores = TreeScores(node, kKind, trees);
  if (classes == 2 && used.size() == 1) {
    const bool positive =
        std::all_of(weights.begin(), weights.end(), [](float weight) { return weight >= 0; });
    Value score = Make<op::Gather>(scores, Whole({*used.begin()}), Axis(1));
    const auto base = FloatsOf(node, "base_values");
    if (!base.empty()) {
      if (base.size() > 2) Refuse(kKind, "has base values that do not fit its answers");
      score = Make<op::Add>(score, Number(base.back()));
    }
    const auto [place, both] = OfOneScore(node, kKind, score, positive);
    return {Labels(node, kKind, place), both};
  }
  scores = WithBase(node, kKind, scores, classes);
  return {Labels(node, kKind, Largest(scores)), Transformed(node, kKind, scores)};
}

Values TreeEnsembleRegressor(const Context& node) {
  constexpr char kKind[] = "TreeEnsembleRegressor";
  const auto targets = node.get_attribute<std::int64_t>("n_targets", 1);
  if (targets < 1) Refuse(kKind, "has no targets");
  const auto outputs = static_cast<std::size_t>(targets);
  const Trees trees = TreesOf(node, kKind, "target", outputs);
  Value scores = TreeScores(node, kKind, trees);
  const auto together = node.get_attribute<std::string>("aggregate_function", "SUM");
  if (together == "AVERAGE") {
    scores = Make<op::Divide>(scores, Number(static_cast<float>(trees.roots.size())));
  } else if (together != "SUM") {
    Refuse(kKind, "aggregates by " + together);
  }
  return {Transformed(node, kKind, WithBase(node, kKind, scores, outputs))};
}

}  // namespace

void AddMlOperators(ov::frontend::FrontEnd& frontend) {
  const std::pair<const char*, Values (*)(const Context&)> operators[] = {
      {"ArrayFeatureExtractor", ArrayFeatureExtractor},
      {"Binarizer", Binarizer},
      {"FeatureVectorizer", FeatureVectorizer},
      {"Imputer", Imputer},
      {"LinearClassifier", LinearClassifier},
      {"LinearRegressor", LinearRegressor},
      {"Normalizer", Normalizer},
      {"Scaler", Scaler},
      {"TreeEnsembleClassifier", TreeEnsembleClassifier},
      {"TreeEnsembleRegressor", TreeEnsembleRegressor},
  };
  for (const auto& [name, converted] : operators) {
    frontend.add_extension(
        std::make_shared<ov::frontend::onnx::ConversionExtension>(name, "ai.onnx.ml", converted));
  }
}

}  // namespace tidewheel::serving
