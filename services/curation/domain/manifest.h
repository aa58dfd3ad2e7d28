#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/curation/domain/dataset.h"
#include "tidewheel/curation/domain/task_catalogue.h"

namespace tidewheel::curation {

/// Writes the canonical text of a dataset version: its SHA-256 is the version's digest.
///
/// One JSON object a line, keys in a fixed order, numbers in their shortest exact form. First what
/// the version is made of (task and its version, classes, recipe with the policy filled in), then
/// one line per item. Only content stands in it: ids of samples and labels, confidences, and times
/// of storing are made anew when the same data is loaded again, and so stay out.
class ManifestWriter {
 public:
  /// `recipe` has its `min_confidence`. `weights` belong to the classes of `task`, for the training
  /// split; elsewhere every item weighs 1. `previous` is the digest of the version that the recipe
  /// calls the previous one; it and the new samples' weight stand in the text only where there is
  /// one.
  ManifestWriter(const TaskPolicy& task, const DatasetRecipe& recipe,
                 std::span<const double> weights, const std::optional<Digest>& previous = {});

  /// Items come in the order of digest, then split name, then class.
  void Add(const Digest& sha256, std::size_t class_index, Split split, bool is_new = false);

  std::uint64_t items() const { return items_; }
  const std::string& text() const { return text_; }

 private:
  std::vector<std::string> middles_[3];    // What follows the digest, by split and class.
  std::vector<std::string> new_training_;  // The same of new training samples.
  std::string text_;
  std::uint64_t items_ = 0;
};

/// `text` with its quotes as JSON wants it; everything beyond ASCII stands as it is.
std::string JsonQuoted(std::string_view text);
/// The shortest decimal form that reads back as the same number.
std::string JsonNumber(double value);

}  // namespace tidewheel::curation
