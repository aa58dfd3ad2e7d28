#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::cli {

/// The services' names, in the order they start.
const std::vector<std::string>& ServiceNames();

/// Where the services of one platform are: "ingestion" -> "127.0.0.1:40001".
using AddressTable = std::map<std::string, std::string, std::less<>>;

/// The file to read: `given`, else $TIDEWHEEL_PLATFORM, else var/run/platform.json in the working
/// directory or the nearest one above it. kUnavailable when there is none: no platform runs.
Result<std::filesystem::path> FindPlatformFile(const std::string& given);

/// Reads `{"services": {"ingestion": {"grpc": "127.0.0.1:40001", ...}, ...}}`; more keys may stand
/// beside these. kUnavailable: no such file; kInvalidArgument: not of this form.
Result<AddressTable> ReadPlatformFile(const std::filesystem::path& path);

/// The running platform, as one command sees it. Channels are opened on first use. For one thread.
class Platform {
 public:
  struct Options {
    std::string file;  // See FindPlatformFile.
    std::vector<std::string>
        addresses;  // "ingestion=HOST:PORT": go before the file, which is then optional.
    std::chrono::milliseconds deadline{30'000};  // Of each single call.
  };

  explicit Platform(const Options& options) : options_(options) {}

  /// kUnavailable: there is no platform file; kNotFound: it does not know the service.
  Result<std::string> AddressOf(std::string_view service);
  Result<std::shared_ptr<grpc::Channel>> ChannelTo(std::string_view service);
  /// A channel whose calls are not repeated below us; for streams that repeat by themselves.
  Result<std::shared_ptr<grpc::Channel>> PlainChannelTo(std::string_view service);

  /// One call. The service follows from the response's package; errors are those of the service
  /// with its name before.
  template <typename Stub, typename Request, typename Response>
  Result<Response> Call(grpc::Status (Stub::*rpc)(grpc::ClientContext*, const Request&, Response*),
                        const Request& request) {
    const std::string service = ServiceOf(*Response::descriptor());
    const auto channel = ChannelTo(service);
    if (!channel) return channel.error();
    Stub stub(*channel);
    rpc::ClientContextWithDeadline context(options_.deadline);
    Response response;
    const auto answered = rpc::FromGrpcStatus((stub.*rpc)(&context, request, &response), service);
    if (!answered) return answered.error();
    return response;
  }

  /// Pages through a list until `limit` items (0: all). The response holds the items of all pages
  /// and, when more are left, the token that goes on.
  template <typename Stub, typename Request, typename Response>
  Result<Response> CallList(grpc::Status (Stub::*rpc)(grpc::ClientContext*, const Request&,
                                                      Response*),
                            Request request, std::uint64_t limit) {
    constexpr std::uint64_t kPage = 1'000;
    Response all;
    while (true) {
      const std::uint64_t have = CountItems(all);
      const std::uint64_t wanted = limit == 0 ? kPage : std::min(kPage, limit - have);
      request.set_page_size(static_cast<std::int32_t>(wanted));
      auto page = Call(rpc, request);
      if (!page) return page.error();
      const std::string token = page->next_page_token();
      all.MergeFrom(*page);
      all.set_next_page_token(token);
      if (token.empty() || (limit != 0 && CountItems(all) >= limit)) return all;
      request.set_page_token(token);
    }
  }

  /// "tidewheel.model_registry.v1" -> "model-registry".
  static std::string ServiceOf(const google::protobuf::Descriptor& message);

  const Options& options() const { return options_; }

 private:
  Result<const AddressTable*> Addresses();
  static std::uint64_t CountItems(const google::protobuf::Message& list);

  Options options_;
  AddressTable addresses_;
  bool read_ = false;
  std::map<std::string, std::shared_ptr<grpc::Channel>, std::less<>> channels_;
};

}  // namespace tidewheel::cli
