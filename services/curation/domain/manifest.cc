#include "tidewheel/curation/domain/manifest.h"

#include <array>
#include <charconv>

namespace tidewheel::curation {
namespace {

std::string JsonList(std::span<const std::string> texts) {
  std::string json = "[";
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i > 0) json += ",";
    json += JsonQuoted(texts[i]);
  }
  return json + "]";
}

}  // namespace

std::string JsonQuoted(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string json = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (byte < 0x20) {
      json += "\\u00";
      json += kHex[byte >> 4];
      json += kHex[byte & 15];
    } else {
      json += c;
    }
  }
  return json + "\"";
}

std::string JsonNumber(double value) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return {digits.data(), end};
}

ManifestWriter::ManifestWriter(const TaskPolicy& task, const DatasetRecipe& recipe,
                               std::span<const double> weights,
                               const std::optional<Digest>& previous) {
  text_ = R"({"format":"tidewheel-dataset/1","task":)" + JsonQuoted(task.name) +
          R"(,"task_version":)" + std::to_string(task.version) + R"(,"classes":)" +
          JsonList(task.classes) + R"(,"recipe":{"class_weighting":)" +
          JsonQuoted(Name(recipe.class_weighting)) + R"(,"min_confidence":)" +
          JsonNumber(recipe.min_confidence.value_or(task.min_confidence)) + R"(,"sources":)" +
          JsonList(recipe.sources) + R"(,"added_until":)" +
          (recipe.added_until ? JsonQuoted(FormatUtc(*recipe.added_until)) : "null");
  if (previous) {
    text_ += R"(,"previous":)" + JsonQuoted(previous->Hex()) + R"(,"new_sample_weight":)" +
             JsonNumber(recipe.new_sample_weight);
  }
  text_ += "}}\n";

  const auto middle = [&task](std::size_t c, Split split, double weight) {
    return R"(","class":)" + JsonQuoted(task.classes[c]) + R"(,"split":")" +
           std::string(Name(split)) + R"(","weight":)" + JsonNumber(weight) + "}\n";
  };
  for (const auto split : {Split::kTraining, Split::kValidation, Split::kTest}) {
    auto& middles = middles_[static_cast<std::size_t>(split)];
    for (std::size_t c = 0; c < task.classes.size(); ++c) {
      middles.push_back(middle(c, split, split == Split::kTraining ? weights[c] : 1.0));
    }
  }
  for (std::size_t c = 0; c < task.classes.size(); ++c) {
    new_training_.push_back(middle(c, Split::kTraining, weights[c] * recipe.new_sample_weight));
  }
}

void ManifestWriter::Add(const Digest& sha256, std::size_t class_index, Split split, bool is_new) {
  text_ += R"({"sha256":")";
  text_ += sha256.Hex();
  const bool weighs_more = is_new && split == Split::kTraining;
  text_ += weighs_more ? new_training_[class_index]
                       : middles_[static_cast<std::size_t>(split)][class_index];
  ++items_;
}

}  // namespace tidewheel::curation
