#include "tidewheel/console/config.h"

#include <algorithm>

namespace tidewheel::console {

Config::Config() {
  for (const char* service : {"model-registry", "ingestion", "labeling", "curation", "training",
                              "monitoring", "inference"}) {
    backends[service] = "";
  }
}

void Config::Read(config::Reader& reader) {
  server.Read(reader);
  reader.Read("metrics_listen", &metrics_listen);
  reader.Read("http.listen", &http_listen);
  reader.Read("http.threads", &http_threads, 2, 256);
  reader.ReadBytes("http.max_body", &http_max_body, 1'024, std::size_t{64} << 20);
  reader.Read("http.read_timeout", &http_read_timeout, std::chrono::milliseconds{100},
              std::chrono::milliseconds{600'000});
  reader.Read("http.hosts", &http_hosts);
  reader.Read("call_deadline", &call_deadline, std::chrono::milliseconds{10},
              std::chrono::milliseconds{600'000});
  reader.Read("health_deadline", &health_deadline, std::chrono::milliseconds{10},
              std::chrono::milliseconds{60'000});
  for (auto& [service, address] : backends) {
    // As everywhere: the model registry is `registry`.
    reader.Read((service == "model-registry" ? "registry" : service) + ".address", &address);
  }
}

}  // namespace tidewheel::console
