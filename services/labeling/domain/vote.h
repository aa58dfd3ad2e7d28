#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/ids.h"

namespace tidewheel::labeling {

struct SampleTag;
using SampleId = StrongId<SampleTag>;
struct VoteTag;
using VoteId = StrongId<VoteTag>;

enum class AnnotatorKind { kPerson, kRule, kModel, kOutcome, kImport };

/// "person", "rule", "model", "outcome", "import".
std::string_view Name(AnnotatorKind kind);
/// Nothing for another word.
std::optional<AnnotatorKind> ParseAnnotatorKind(std::string_view name);

/// What a vote is about, in one of the three ways a caller may know a sample.
struct Subject {
  enum class By { kNothing, kSampleId, kName, kSha256 };
  By by = By::kNothing;
  std::string
      text;  // The id, the name it was pushed under, or the payload's digest in hexadecimal.
};

/// A vote on its way in.
struct NewVote {
  Subject subject;
  std::string class_name;
  std::string annotator;
  std::optional<AnnotatorKind>
      annotator_kind;  // Nothing: what the annotator is known as, else a person.
  std::string source;
  std::optional<Timestamp> voted_at;  // Nothing: now.
};

/// One annotator's opinion on one sample, as it is stored.
struct Vote {
  VoteId vote_id;
  SampleId sample_id;
  std::string class_name;
  std::string annotator;
  AnnotatorKind annotator_kind = AnnotatorKind::kPerson;
  std::string source;
  Timestamp voted_at{};
};

}  // namespace tidewheel::labeling
