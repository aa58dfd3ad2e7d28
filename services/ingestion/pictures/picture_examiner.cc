#include "tidewheel/ingestion/pictures/picture_examiner.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "tidewheel/blob/sha256.h"
#include "tidewheel/vision/decode.h"
#include "tidewheel/vision/difference_hash.h"
#include "tidewheel/vision/measure.h"
#include "tidewheel/vision/quality.h"

namespace tidewheel::ingestion {
namespace {

std::string_view ContentType(vision::ImageFormat format) {
  switch (format) {
    case vision::ImageFormat::kJpeg:
      return "image/jpeg";
    case vision::ImageFormat::kPng:
      return "image/png";
    case vision::ImageFormat::kPgm:
      return "image/x-portable-graymap";
    case vision::ImageFormat::kPpm:
      return "image/x-portable-pixmap";
    case vision::ImageFormat::kWebp:
      return "image/webp";
  }
  return "";
}

vision::DecodeLimits LimitsOf(const QualityRules& rules) {
  vision::DecodeLimits limits;
  if (rules.max_payload_bytes > 0) limits.max_bytes = rules.max_payload_bytes;
  if (rules.max_pixels > 0) limits.max_pixels = static_cast<std::int64_t>(rules.max_pixels);
  // The rules judge the sides themselves; what decoding costs is bounded by the pixels.
  limits.max_side = std::numeric_limits<int>::max();
  return limits;
}

int Side(std::uint32_t pixels) {
  return static_cast<int>(std::min<std::uint32_t>(pixels, std::numeric_limits<int>::max()));
}

vision::QualityRules ToVision(const QualityRules& rules) {
  vision::QualityRules out;
  out.min_side = Side(rules.min_side);
  out.max_side = Side(rules.max_side);
  out.min_mean_luminance = rules.min_mean_luminance;
  out.max_mean_luminance = rules.max_mean_luminance;
  out.max_dark_share = rules.max_dark_share;
  out.max_bright_share = rules.max_bright_share;
  out.min_sharpness = rules.min_sharpness;
  return out;
}

ReasonCode CodeOf(vision::QualityProblem problem) {
  switch (problem) {
    case vision::QualityProblem::kTooSmall:
      return ReasonCode::kTooSmall;
    case vision::QualityProblem::kTooLarge:
      return ReasonCode::kTooLarge;
    case vision::QualityProblem::kUnderexposed:
      return ReasonCode::kUnderexposed;
    case vision::QualityProblem::kOverexposed:
      return ReasonCode::kOverexposed;
    case vision::QualityProblem::kBlurred:
      return ReasonCode::kBlurred;
  }
  return ReasonCode::kUndecodable;
}

}  // namespace

Examination PictureExaminer::Examine(std::string_view payload, const QualityRules& rules) const {
  Examination examination;
  const auto image = vision::Decode(payload, LimitsOf(rules));
  if (!image) {
    const bool too_large = image.error().code == ErrorCode::kOutOfRange;
    examination.reasons.push_back(
        {too_large ? ReasonCode::kTooLarge : ReasonCode::kUndecodable, image.error().message, ""});
    return examination;
  }
  examination.decoded = true;
  examination.width = static_cast<std::uint32_t>(image->width);
  examination.height = static_cast<std::uint32_t>(image->height);
  if (const auto header = vision::Probe(payload)) {
    examination.content_type = ContentType(header->format);
  }
  const vision::Measures measures = vision::Measure(*image);
  const auto values = vision::ToArray(measures);
  for (std::size_t i = 0; i < values.size(); ++i) {
    examination.measures.emplace(vision::kMeasureNames[i], values[i]);
  }
  for (auto& issue : vision::Check(measures, ToVision(rules))) {
    examination.reasons.push_back({CodeOf(issue.problem), std::move(issue.message), ""});
  }
  const vision::Hash128 hash = vision::DifferenceHash(*image);
  examination.hash = {hash.high, hash.low};
  return examination;
}

Digest PictureExaminer::Hash(std::string_view payload) const { return blob::Sha256(payload); }

}  // namespace tidewheel::ingestion
