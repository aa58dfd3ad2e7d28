#pragma once

#include <compare>
#include <functional>
#include <string>
#include <utility>

namespace tidewheel {

/// A text id that cannot be mistaken for another kind of id.
/// `struct SampleTag; using SampleId = StrongId<SampleTag>;`
template <typename Tag>
class StrongId {
 public:
  StrongId() = default;
  explicit StrongId(std::string text) : text_(std::move(text)) {}

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }

  friend auto operator<=>(const StrongId&, const StrongId&) = default;

 private:
  std::string text_;
};

/// A new UUID of version 7 (RFC 9562): its order is the order of creation to the millisecond.
/// Thread-safe.
std::string NewUuid();

/// Whether `text` is a UUID in the usual 36 characters.
bool IsUuid(std::string_view text);

}  // namespace tidewheel

template <typename Tag>
struct std::hash<tidewheel::StrongId<Tag>> {
  std::size_t operator()(const tidewheel::StrongId<Tag>& id) const noexcept {
    return std::hash<std::string>{}(id.text());
  }
};
