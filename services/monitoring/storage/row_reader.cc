#include "tidewheel/monitoring/storage/row_reader.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>
#include <utility>

#include "tidewheel/monitoring/storage/packed_row.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::monitoring {

std::vector<std::string> TextsFrom(const pqxx::field& field) {
  std::vector<std::string> texts;
  auto parser = field.as_array();
  for (auto item = parser.get_next(); item.first != pqxx::array_parser::done;
       item = parser.get_next()) {
    if (item.first == pqxx::array_parser::string_value) texts.push_back(std::move(item.second));
  }
  return texts;
}

std::vector<std::int64_t> IntegersFrom(const pqxx::field& field) {
  std::vector<std::int64_t> numbers;
  if (field.is_null()) return numbers;
  const std::string_view text = field.c_str();
  for (std::size_t i = 1; i + 1 < text.size();) {
    std::int64_t number = 0;
    const auto read = std::from_chars(text.data() + i, text.data() + text.size(), number);
    numbers.push_back(number);
    i = static_cast<std::size_t>(read.ptr - text.data()) + 1;
  }
  return numbers;
}

Result<ObservedRow> ReadRow(const pqxx::row& row, const StoredModel& model) {
  auto packed = Unpack(postgres::BytesOf(row["body"]));
  if (!packed) return packed.error();
  ObservedRow out;
  out.request_id = row["request_id"].c_str();
  out.index = row["place"].as<std::uint32_t>();
  out.at = row["predicted_at"].as<Timestamp>();
  out.class_index = row["class_index"].as<std::uint32_t>();
  out.seconds = row["seconds"].as<double>();
  out.role = Name(static_cast<Role>(row["role"].as<int>()));
  out.probabilities = std::move(packed->probabilities);
  out.features = std::move(packed->features);
  out.features.resize(std::max(out.features.size(), model.features.size()),
                      std::numeric_limits<double>::quiet_NaN());
  out.embedding = std::move(packed->embedding);
  out.quality_problems = std::move(packed->quality_problems);
  out.payload_sha256 = std::move(packed->payload_sha256);
  for (const auto stream : IntegersFrom(row["slices"])) {
    const auto slice = model.slices.find(static_cast<int>(stream));
    if (slice != model.slices.end()) out.slices.push_back(slice->second);
  }
  if (!row["outcome"].is_null()) {
    const auto found =
        std::find(model.classes.begin(), model.classes.end(), row["outcome"].c_str());
    if (found != model.classes.end()) {
      out.outcome = static_cast<std::uint32_t>(found - model.classes.begin());
    }
    out.outcome_at = row["outcome_at"].as<Timestamp>();
  }
  return out;
}

}  // namespace tidewheel::monitoring
