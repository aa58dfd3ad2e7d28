// Identity models behind both fronts of the Open Inference Protocol, for clients that others wrote.
//   client_test_server FOLDER: serves what lies in FOLDER when it is loaded, beside the identities;
//   says {"grpc":"...","http":"..."} on one line, and ends with its standard input.
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "tidewheel/inference/core/repository_server.h"
#include "tidewheel/inference/core/shared_memory.h"
#include "tidewheel/inference/core/testing/identity_models.h"
#include "tidewheel/inference/oip_grpc/oip_handler.h"
#include "tidewheel/inference/oip_http/oip_http_server.h"
#include "tidewheel/log/log.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/server.h"

namespace serving = tidewheel::inference;

int main(int count, char** words) {
  if (count != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", words[0]);
    return 2;
  }
  tidewheel::log::Initialise("clients", tidewheel::log::Level::kError);
  serving::testing::IdentityLoader loader;
  serving::RepositoryServer::Options repository;
  repository.repository = words[1];
  repository.mode = serving::RepositoryServer::Mode::kExplicit;
  repository.scratch = std::string(words[1]) + ".scratch";
  serving::RepositoryServer models(repository, loader);
  if (auto started = models.Start(); !started) return tidewheel::log::Fatal(started.error());
  if (auto put = serving::testing::PutIdentityModels(models); !put) {
    return tidewheel::log::Fatal(put.error());
  }
  auto slow =
      models.Put("slow", 1,
                 std::make_unique<serving::testing::IdentityExecutor>(
                     serving::testing::IdentitySpec("slow", {serving::DataType::kFp32}, -1, 1),
                     std::chrono::milliseconds(200)));
  if (!slow) return tidewheel::log::Fatal(slow.error());

  serving::SharedMemoryTable regions;
  tidewheel::metrics::Registry metrics("inference");
  serving::OipHandler handler(models, regions, {});
  tidewheel::rpc::ServerOptions options;
  options.hot_methods = {"ModelInfer", "ModelStreamInfer"};
  options.direct_methods = {handler.DirectInfer()};
  tidewheel::rpc::Server grpc(options, metrics);
  grpc.Add(handler);
  if (auto started = grpc.Start(); !started) return tidewheel::log::Fatal(started.error());
  grpc.SetServing(true);
  auto http = serving::OipHttpServer::Start({}, models, regions);
  if (!http) return tidewheel::log::Fatal(http.error());

  std::cout << "{\"grpc\":\"" << grpc.address() << "\",\"http\":\"" << (*http)->address() << "\"}"
            << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) {
  }
}
