#include "tidewheel/postgres/values.h"

#include <cstring>

namespace tidewheel::postgres {

pqxx::binarystring Bytes(std::string_view bytes) {
  return pqxx::binarystring(bytes.data(), bytes.size());
}

pqxx::binarystring Bytes(const Digest& digest) {
  return pqxx::binarystring(digest.bytes.data(), digest.bytes.size());
}

std::string BytesOf(const pqxx::field& field) { return pqxx::binarystring(field).str(); }

Digest DigestOf(const pqxx::field& field) {
  const pqxx::binarystring bytes(field);
  Digest digest;
  if (bytes.size() != digest.bytes.size()) {
    throw pqxx::conversion_error(std::string("column ") + field.name() + " holds " +
                                 std::to_string(bytes.size()) + " bytes, a digest has 32");
  }
  std::memcpy(digest.bytes.data(), bytes.data(), digest.bytes.size());
  return digest;
}

Result<Timestamp> ParseTimestamp(std::string_view text) {
  // "2026-11-22 10:00:00.123456+00"; years beyond 9999 and "BC" have another shape and are refused
  // by it.
  std::string rfc(text);
  const bool shaped = text.size() >= 22 && text[4] == '-' && text[10] == ' ' &&
                      (text[text.size() - 3] == '+' || text[text.size() - 3] == '-');
  if (shaped) {
    rfc[10] = 'T';
    rfc += ":00";
    if (auto time = ParseUtc(rfc)) return time;
  }
  return Error{ErrorCode::kOutOfRange,
               "\"" + std::string(text.substr(0, 40)) + "\" is no time of the years 1 to 9999"};
}

}  // namespace tidewheel::postgres

void pqxx::string_traits<tidewheel::Timestamp>::from_string(const char text[],
                                                            tidewheel::Timestamp& time) {
  const auto parsed = tidewheel::postgres::ParseTimestamp(text);
  if (!parsed) throw conversion_error(parsed.error().message);
  time = *parsed;
}
