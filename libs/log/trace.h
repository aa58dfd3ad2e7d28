#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tidewheel::log {

/// Where a piece of work belongs: one trace across services, and the request that asked for it.
struct Trace {
  std::string trace_id;  // 32 lower-case hexadecimal digits; empty: no trace.
  std::string span_id;   // 16 digits: this step of the trace.
  bool sampled = true;
  std::string request_id;  // The caller's own, empty when it gave none.

  friend bool operator==(const Trace&, const Trace&) = default;
};

/// A new trace with random ids. Thread-safe.
Trace NewTrace();

/// The next step of the same trace: a span id of its own, the rest kept. Of an empty trace: a new
/// one.
Trace NextStep(const Trace& trace);

/// Reads a W3C `traceparent` ("00-<32 hex>-<16 hex>-<2 hex>"); nothing when it is not a valid one.
std::optional<Trace> ParseTraceParent(std::string_view header);

/// Writes it: the header to pass on over gRPC, HTTP and topics. Empty without a trace.
std::string FormatTraceParent(const Trace& trace);

/// What this thread works for; empty ids outside of every Context.
Trace CurrentTrace();

/// `FormatTraceParent(CurrentTrace())`, for an outbox or a topic's header.
std::string CurrentTraceParent();

/// While it lives, lines logged by this thread carry the trace's ids. Nests. It belongs to the
/// thread that made it: destroyed on another, it leaves that one's trace alone.
class Context {
 public:
  explicit Context(Trace trace);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

 private:
  std::shared_ptr<const Trace> mine_;
  std::shared_ptr<const Trace> outer_;
  const void* thread_;  // Address of the owner's slot: tells threads apart.
};

}  // namespace tidewheel::log
