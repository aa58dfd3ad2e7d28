#include "tidewheel/monitoring/storage/packed_row.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "tidewheel/base/digest.h"

namespace tidewheel::monitoring {
namespace {

static_assert(std::endian::native == std::endian::little, "rows are stored little-endian");

constexpr char kVersion = 1;
constexpr std::size_t kMost = std::numeric_limits<std::uint16_t>::max();

void AppendLength(std::size_t length, std::string& out) {
  const auto value = static_cast<std::uint16_t>(length);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
void AppendNumbers(std::span<const T> numbers, std::string& out) {
  const std::size_t count = std::min(numbers.size(), kMost);
  AppendLength(count, out);
  out.append(reinterpret_cast<const char*>(numbers.data()), count * sizeof(T));
}

void AppendText(std::string_view text, std::string& out) {
  text = text.substr(0, kMost);
  AppendLength(text.size(), out);
  out.append(text);
}

/// Takes parts from the front of some bytes; remembers whether they were there.
class Source {
 public:
  explicit Source(std::string_view bytes) : left_(bytes) {}

  std::string_view Take(std::size_t count) {
    if (left_.size() < count) {
      whole_ = false;
      left_ = {};
      return {};
    }
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }
  std::size_t Length() {
    const std::string_view bytes = Take(sizeof(std::uint16_t));
    std::uint16_t value = 0;
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  template <typename T>
  std::vector<T> Numbers() {
    const std::size_t count = Length();
    const std::string_view bytes = Take(count * sizeof(T));
    std::vector<T> numbers(bytes.size() / sizeof(T));
    if (!bytes.empty()) std::memcpy(numbers.data(), bytes.data(), bytes.size());
    return numbers;
  }
  bool ended() const { return whole_ && left_.empty(); }

 private:
  std::string_view left_;
  bool whole_ = true;
};

}  // namespace

std::string Pack(std::span<const float> probabilities, std::span<const double> features,
                 std::span<const float> embedding, std::span<const std::string> quality_problems,
                 std::string_view payload_sha256) {
  std::string out;
  out.reserve(64 + 4 * (probabilities.size() + embedding.size()) + 8 * features.size());
  out.push_back(kVersion);
  AppendNumbers(probabilities, out);
  AppendNumbers(features, out);
  AppendNumbers(embedding, out);
  const auto digest = Digest::FromHex(payload_sha256);
  const bool short_form = digest && digest->Hex() == payload_sha256;
  out.push_back(short_form ? 1 : 0);
  if (short_form) {
    out.append(reinterpret_cast<const char*>(digest->bytes.data()), digest->bytes.size());
  } else {
    AppendText(payload_sha256, out);
  }
  const std::size_t problems = std::min(quality_problems.size(), kMost);
  AppendLength(problems, out);
  for (const auto& problem : quality_problems.first(problems)) AppendText(problem, out);
  return out;
}

Result<PackedRow> Unpack(std::string_view bytes) {
  Source source(bytes);
  PackedRow row;
  const std::string_view version = source.Take(1);
  const bool known = !version.empty() && version[0] == kVersion;
  if (known) {
    row.probabilities = source.Numbers<float>();
    row.features = source.Numbers<double>();
    row.embedding = source.Numbers<float>();
    const std::string_view form = source.Take(1);
    if (!form.empty() && form[0] == 1) {
      Digest digest;
      const std::string_view raw = source.Take(digest.bytes.size());
      if (!raw.empty()) std::memcpy(digest.bytes.data(), raw.data(), raw.size());
      row.payload_sha256 = digest.Hex();
    } else {
      row.payload_sha256 = source.Take(source.Length());
    }
    const std::size_t problems = source.Length();
    for (std::size_t i = 0; i < problems; ++i) {
      row.quality_problems.emplace_back(source.Take(source.Length()));
    }
  }
  if (!known || !source.ended()) {
    return Error{ErrorCode::kDataLoss,
                 "a stored prediction of " + std::to_string(bytes.size()) + " bytes is damaged"};
  }
  return row;
}

}  // namespace tidewheel::monitoring
