#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "tidewheel/cli/connection/platform.h"

namespace tidewheel::cli::drill {

/// How long an outage is sat out: a killed service is back in seconds, PostgreSQL takes the
/// longest.
inline constexpr std::chrono::seconds kPatience{120};

/// A call that sits outages out. What it asks for must be harmless to repeat.
template <typename Stub, typename Request, typename Response>
Result<Response> PatientCall(Platform& platform,
                             grpc::Status (Stub::*rpc)(grpc::ClientContext*, const Request&,
                                                       Response*),
                             const Request& request, std::chrono::seconds limit = kPatience) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (true) {
    auto answered = platform.Call(rpc, request);
    if (answered) return answered;
    const ErrorCode code = answered.error().code;
    const bool passing = IsTransient(code) || code == ErrorCode::kDeadlineExceeded;
    if (!passing || std::chrono::steady_clock::now() > deadline) return answered.error();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

/// All pages of a list, outages sat out.
template <typename Stub, typename Request, typename Response>
Result<Response> PatientList(Platform& platform,
                             grpc::Status (Stub::*rpc)(grpc::ClientContext*, const Request&,
                                                       Response*),
                             Request request) {
  Response all;
  request.set_page_size(1'000);
  while (true) {
    auto page = PatientCall(platform, rpc, request);
    if (!page) return page.error();
    const std::string token = page->next_page_token();
    all.MergeFrom(*page);
    if (token.empty()) return all;
    request.set_page_token(token);
  }
}

/// Polls until `done` says so. `waits_for` completes "... for 60 s: <what is the case>".
template <typename Done, typename State>
Result<void> WaitFor(Done done, std::chrono::milliseconds limit, const std::string& waits_for,
                     State state) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return Error{ErrorCode::kDeadlineExceeded, waits_for + " was waited for in vain for " +
                                                     std::to_string(limit.count() / 1'000) +
                                                     " s: " + state()};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return {};
}

}  // namespace tidewheel::cli::drill
