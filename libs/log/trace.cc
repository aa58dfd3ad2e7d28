#include "tidewheel/log/trace.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <random>
#include <utility>

#include "tidewheel/base/random.h"

namespace tidewheel::log {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

/// Shared, so that a Context that ends on another thread leaves nothing dangling here.
std::shared_ptr<const Trace>& Slot() {
  thread_local std::shared_ptr<const Trace> slot;
  return slot;
}

std::uint64_t Seed() {
  static std::atomic<std::uint64_t> count{0};
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  std::uint64_t seed = static_cast<std::uint64_t>(now) + (count.fetch_add(1) << 48);
  try {
    std::random_device device;
    seed ^= (std::uint64_t{device()} << 32) | device();
  } catch (const std::exception&) {
    // No entropy source: time and count still tell threads apart.
  }
  return seed;
}

std::string HexDigits(int words) {
  thread_local Random random(Seed());
  std::string digits;
  for (int i = 0; i < words; ++i) {
    std::uint64_t word = random.Next();
    if (word == 0) word = 1;  // An id of zeros alone means "none".
    for (int nibble = 15; nibble >= 0; --nibble) digits += kHex[(word >> (4 * nibble)) & 15];
  }
  return digits;
}

bool IsHex(std::string_view text) { return text.find_first_not_of(kHex) == std::string_view::npos; }

bool IsZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

}  // namespace

Trace NewTrace() { return {HexDigits(2), HexDigits(1), true, ""}; }

Trace NextStep(const Trace& trace) {
  if (trace.trace_id.empty()) {
    Trace fresh = NewTrace();
    fresh.request_id = trace.request_id;
    return fresh;
  }
  Trace next = trace;
  next.span_id = HexDigits(1);
  return next;
}

std::optional<Trace> ParseTraceParent(std::string_view header) {
  // version-trace-span-flags; later versions may add more after a dash.
  if (header.size() < 55 || header[2] != '-' || header[35] != '-' || header[52] != '-') {
    return std::nullopt;
  }
  const std::string_view version = header.substr(0, 2);
  const std::string_view trace = header.substr(3, 32);
  const std::string_view span = header.substr(36, 16);
  const std::string_view flags = header.substr(53, 2);
  if (!IsHex(version) || version == "ff" || !IsHex(trace) || IsZero(trace) || !IsHex(span) ||
      IsZero(span) || !IsHex(flags)) {
    return std::nullopt;
  }
  if (header.size() > 55 && (version == "00" || header[55] != '-')) return std::nullopt;
  const auto low = kHex.find(flags[1]);
  return Trace{std::string(trace), std::string(span), (low & 1U) != 0, ""};
}

std::string FormatTraceParent(const Trace& trace) {
  if (trace.trace_id.empty() || trace.span_id.empty()) return "";
  return "00-" + trace.trace_id + "-" + trace.span_id + (trace.sampled ? "-01" : "-00");
}

Trace CurrentTrace() {
  const auto& slot = Slot();
  return slot == nullptr ? Trace{} : *slot;
}

std::string CurrentTraceParent() {
  const auto& slot = Slot();
  return slot == nullptr ? "" : FormatTraceParent(*slot);
}

Context::Context(Trace trace)
    : mine_(std::make_shared<const Trace>(std::move(trace))), outer_(Slot()), thread_(&Slot()) {
  Slot() = mine_;
}

Context::~Context() {
  auto& slot = Slot();
  if (&slot == thread_ && slot == mine_) slot = std::move(outer_);
}

}  // namespace tidewheel::log
