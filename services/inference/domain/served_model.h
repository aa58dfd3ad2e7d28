#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/domain/embedding_reference.h"
#include "tidewheel/inference/domain/quality_rules.h"

namespace tidewheel::inference {

/// What a deployed model version is, apart from its weights.
struct ModelIdentity {
  std::string task;
  std::string model_version_id;
  std::uint32_t model_version = 0;  // Within the task.
  std::string package_digest;
  std::vector<std::string> classes;

  friend bool operator==(const ModelIdentity&, const ModelIdentity&) = default;
};

/// The answer for one picture or row.
struct Answer {
  std::uint32_t class_index = 0;
  std::vector<float> probabilities;           // One per class, in their order.
  std::string payload_sha256;                 // Hexadecimal; empty for rows.
  std::map<std::string, double> measures;     // Of the picture; empty for rows.
  std::vector<float> embedding;               // Empty for packages without.
  std::vector<std::string> quality_problems;  // Rules that the picture breaks: "underexposed".

  float confidence() const { return probabilities[class_index]; }
};

/// Rows that were preprocessed by the caller.
struct Rows {
  std::vector<std::int64_t> shape;  // Rows first.
  std::span<const float> values;
};

/// A row that a package's preprocessing made.
struct PreparedRow {
  std::vector<std::int64_t> shape;  // Rows first: 1.
  std::vector<float> values;
};

/// What a model is asked: encoded pictures or rows. Views live as long as the request.
struct ModelInput {
  std::vector<std::string_view> pictures;
  std::optional<Rows> rows;
};

/// Until when an answer is of use, and whether anybody still waits for it.
struct CallTerms {
  std::optional<std::chrono::system_clock::time_point> deadline;
  std::function<bool()> cancelled;  // Empty: never.
};

/// The names of what comes out of a model, where it is asked as one of the process's server.
struct OutputNames {
  std::string probabilities;
  std::string embedding;  // Empty: there is none.
};

/// A model in memory, ready to answer. Thread-safe.
class ServedModel {
 public:
  using Answered = std::function<void(Result<std::vector<Answer>>)>;

  virtual ~ServedModel() = default;

  virtual const ModelIdentity& identity() const = 0;
  /// In which numbers it computes: "f32", "bf16", "int8".
  virtual std::string_view variant() const { return "f32"; }

  /// Encoded pictures, through the package's own preprocessing, held against `rules`.
  /// kInvalidArgument names the picture that cannot be decoded, by its place.
  virtual Result<std::vector<Answer>> PredictPictures(std::span<const std::string_view> payloads,
                                                      const QualityRules& rules) const = 0;

  /// Preprocessed rows: `shape` is rows first. kInvalidArgument names the expected and the given
  /// shape.
  virtual Result<std::vector<Answer>> PredictRows(std::span<const std::int64_t> shape,
                                                  std::span<const float> values) const = 0;

  /// Asks whichever way the input is given, and waits for no other model's work: `answered` is
  /// called exactly once, from any thread and perhaps before this returns, and must not block.
  /// Model and input stay until then. As Ask, and: kDeadlineExceeded, kCancelled,
  /// kResourceExhausted (too many wait). What is not overridden answers on the calling thread.
  virtual void Start(const ModelInput& input, const QualityRules& rules, const CallTerms& terms,
                     Answered answered) const;

  /// Null: no server has this model under its task's name and its version's number.
  virtual const OutputNames* output_names() const { return nullptr; }
  /// What a server gave for rows, as answers: `embedding` may be empty. kInternal: what is no
  /// answer of this model.
  virtual Result<std::vector<Answer>> AnswersOf(std::span<const float> /*probabilities*/,
                                                std::span<const float> /*embedding*/) const {
    return Error{ErrorCode::kUnimplemented, "the model is asked by itself alone"};
  }
  /// Whether Show may be asked.
  virtual bool rows_are_pictures() const { return false; }
  /// A row as an encoded picture that a person can look at, and that is prepared to this row again
  /// but for the rounding to 8 bits. kUnimplemented: rows of this model are no pictures.
  virtual Result<std::string> Show(std::span<const float> /*row*/) const {
    return Error{ErrorCode::kUnimplemented, "rows of this model are no pictures"};
  }

  /// One encoded picture as this model sees it: one row. kInvalidArgument: it cannot be decoded;
  /// kUnimplemented: the model takes no pictures.
  virtual Result<PreparedRow> Prepare(std::string_view) const {
    return Error{ErrorCode::kUnimplemented, "the model takes no pictures"};
  }

  /// Where the embeddings of known inputs lie; null for packages that do not say.
  virtual const EmbeddingReference* reference() const { return nullptr; }
};

/// Asks whichever way the input is given. A model that throws, or does not answer every picture or
/// row, has failed: kInternal.
Result<std::vector<Answer>> Ask(const ServedModel& model, const ModelInput& input,
                                const QualityRules& rules);
/// The same without waiting: as ServedModel::Start.
void StartAsking(const ServedModel& model, const ModelInput& input, const QualityRules& rules,
                 const CallTerms& terms, ServedModel::Answered answered);

}  // namespace tidewheel::inference
