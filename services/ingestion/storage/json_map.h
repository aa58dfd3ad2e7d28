#pragma once

#include <map>
#include <string>
#include <string_view>

namespace tidewheel::ingestion {

/// {"camera":"7"}: how metadata is kept in a jsonb column. Zero bytes must not be in it.
std::string ToJson(const std::map<std::string, std::string>& texts);
/// {"sharpness":12.5}: how measures are kept; numbers read back bit-equal. Those that are not
/// finite are left out.
std::string ToJson(const std::map<std::string, double>& numbers);

std::map<std::string, std::string> TextsFromJson(std::string_view json);
std::map<std::string, double> NumbersFromJson(std::string_view json);

}  // namespace tidewheel::ingestion
