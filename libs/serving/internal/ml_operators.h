#pragma once

#include <openvino/frontend/extension/conversion.hpp>
#include <openvino/frontend/frontend.hpp>
#include <string>
#include <vector>

namespace tidewheel::serving {

/// What a node's whole numbers stand for, when they are places in a list of texts.
inline constexpr char kTexts[] = "tidewheel_texts";

/// Teaches the ONNX reader the operators of the domain ai.onnx.ml that classical models are made
/// of (the engine knows none of them): Scaler, Normalizer, Imputer, Binarizer, FeatureVectorizer,
/// ArrayFeatureExtractor, LinearClassifier, LinearRegressor, TreeEnsembleClassifier,
/// TreeEnsembleRegressor. Each becomes a few operators that it knows. What one of them cannot be
/// asked for throws a text that begins with the operator's name.
void AddMlOperators(ov::frontend::FrontEnd& frontend);

}  // namespace tidewheel::serving
