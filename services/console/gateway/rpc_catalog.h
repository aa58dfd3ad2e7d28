#pragma once

#include <google/protobuf/descriptor.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tidewheel::console {

/// One rpc that HTTP reaches.
struct CataloguedRpc {
  std::string service;      // "model-registry".
  std::string name;         // "ListTasks".
  std::string path;         // "/api/v1/model-registry/ListTasks".
  std::string grpc_method;  // "/tidewheel.model_registry.v1.ModelRegistryService/ListTasks".
  const google::protobuf::MethodDescriptor* method = nullptr;

  /// Whether GET may call it: it only reads, by its name's first word (Get, List, Find, Verify).
  bool reads() const;
  bool streams() const { return method->server_streaming(); }
  /// A client that streams has no form over plain HTTP.
  bool over_http() const { return !method->client_streaming(); }
};

/// Every rpc of the platform, as the protos that are linked in declare it. Immutable, thread-safe.
class RpcCatalog {
 public:
  RpcCatalog();

  /// Null when there is no such. `service` is taken with hyphens or underscores.
  const CataloguedRpc* Find(std::string_view service, std::string_view rpc) const;
  bool HasService(std::string_view service) const;
  /// The services' names, in the order of their names.
  std::vector<std::string> services() const;
  /// Of one service, as declared.
  const std::vector<CataloguedRpc>& rpcs(const std::string& service) const {
    return rpcs_.at(service);
  }

  /// JSON for programs and people: every rpc with its fields and their types.
  std::string Describe() const;

 private:
  std::map<std::string, std::vector<CataloguedRpc>, std::less<>> rpcs_;
};

}  // namespace tidewheel::console
