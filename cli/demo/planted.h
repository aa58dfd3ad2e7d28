#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/cli/readers/picture_source.h"
#include "tidewheel/ingestion/v1/ingestion_service.pb.h"

namespace tidewheel::cli::demo {

/// A picture that ingestion must set aside, and why.
struct PlantedPicture {
  Picture picture;
  ingestion::v1::ReasonCode reason = ingestion::v1::REASON_CODE_UNSPECIFIED;
};

/// Broken, black, white and blurred pictures, copies under other names and, `with_near_duplicates`,
/// copies that were encoded again; made of `originals` (good pictures that are stored already).
/// The same originals and seed give the same bytes.
Result<std::vector<PlantedPicture>> PlantPictures(const std::vector<Picture>& originals,
                                                  bool with_near_duplicates, std::uint64_t seed);

/// "undecodable", "too_small" and so on: the words of figures and tables.
std::string ReasonName(ingestion::v1::ReasonCode reason);

}  // namespace tidewheel::cli::demo
