#include "tidewheel/labeling/domain/vote.h"

#include <array>
#include <utility>

namespace tidewheel::labeling {
namespace {

constexpr std::array<std::pair<AnnotatorKind, std::string_view>, 5> kKinds{{
    {AnnotatorKind::kPerson, "person"},
    {AnnotatorKind::kRule, "rule"},
    {AnnotatorKind::kModel, "model"},
    {AnnotatorKind::kOutcome, "outcome"},
    {AnnotatorKind::kImport, "import"},
}};

}  // namespace

std::string_view Name(AnnotatorKind kind) {
  for (const auto& [known, name] : kKinds) {
    if (known == kind) return name;
  }
  return "person";
}

std::optional<AnnotatorKind> ParseAnnotatorKind(std::string_view name) {
  for (const auto& [kind, known] : kKinds) {
    if (known == name) return kind;
  }
  return std::nullopt;
}

}  // namespace tidewheel::labeling
