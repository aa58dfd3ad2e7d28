#include "tidewheel/blob/store.h"

#include <charconv>
#include <optional>
#include <utility>

#include "tidewheel/base/ids.h"
#include "tidewheel/blob/sha256.h"

namespace tidewheel::blob {
namespace {

// Far beyond any file, and far from overflow.
constexpr std::uint64_t kMaxOffset = 1ULL << 60;

/// Cuts the part before the next ':' off `text`.
std::string_view TakePart(std::string_view& text) {
  const auto end = text.find(':');
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return part;
}

std::optional<std::uint64_t> ParseNumber(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || value > kMaxOffset)
    return std::nullopt;
  return value;
}

}  // namespace

Ref Ref::Object(const Digest& digest) {
  Ref ref;
  ref.digest_ = digest;
  return ref;
}

Ref Ref::InSegment(std::string segment, std::uint64_t offset, std::uint64_t length,
                   const Digest& digest) {
  Ref ref;
  ref.kind_ = Kind::kSegment;
  ref.segment_ = std::move(segment);
  ref.offset_ = offset;
  ref.length_ = length;
  ref.digest_ = digest;
  return ref;
}

std::string Ref::text() const {
  if (kind_ == Kind::kObject) return "obj:" + digest_.Hex();
  return "seg:" + segment_ + ":" + std::to_string(offset_) + ":" + std::to_string(length_) + ":" +
         digest_.Hex();
}

Result<Ref> Ref::Parse(std::string_view text) {
  const Error bad{ErrorCode::kInvalidArgument,
                  "\"" + std::string(text.substr(0, 160)) + "\" is no reference to a payload"};
  std::string_view rest = text;
  const std::string_view kind = TakePart(rest);
  std::optional<Ref> ref;
  if (kind == "obj") {
    const auto digest = Digest::FromHex(rest);
    if (digest) ref = Object(*digest);
  } else if (kind == "seg") {
    const std::string segment(TakePart(rest));
    const auto offset = ParseNumber(TakePart(rest));
    const auto length = ParseNumber(TakePart(rest));
    const auto digest = Digest::FromHex(rest);
    if (IsUuid(segment) && offset && length && digest)
      ref = InSegment(segment, *offset, *length, *digest);
  }
  // One payload has one text: no leading zeros, no capitals.
  if (!ref || ref->text() != text || text.find_first_of("ABCDEF") != std::string_view::npos)
    return bad;
  return *ref;
}

Result<std::vector<Ref>> Store::PutMany(std::span<const std::string_view> payloads) {
  std::vector<HashedPayload> hashed;
  hashed.reserve(payloads.size());
  for (const std::string_view payload : payloads) hashed.push_back({payload, Sha256(payload)});
  return PutHashed(hashed);
}

Result<Ref> Store::Put(std::string_view payload) {
  auto refs = PutMany(std::span(&payload, 1));
  if (!refs) return refs.error();
  return std::move(refs->front());
}

}  // namespace tidewheel::blob
