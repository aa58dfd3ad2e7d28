#include "tidewheel/inference/config.h"

namespace tidewheel::inference {

void Config::Read(config::Reader& reader) {
  endpoints.server.hot_methods = {"Predict", "RecordOutcomes"};
  endpoints.server.Read(reader);
  reader.Read("metrics_listen", &endpoints.metrics_listen);
  oip.Read(reader);
  bus.Read(reader);
  reader.Read("payloads.root", &payloads_root);
  reader.Read("registry.address", &registry_address);
  reader.Read("spill.folder", &spill_folder);
  reader.Read("spill.limit", &spill_limit);
  reader.ReadEnum("variant", &variant,
                  {{"f32", Wanted::kFloat32},
                   {"bf16", Wanted::kBf16},
                   {"int8", Wanted::kInt8},
                   {"fastest", Wanted::kFastest}});
  reader.Read("workers", &workers, std::size_t{1}, std::size_t{256});
  reader.Read("queue", &queue, std::size_t{1}, std::size_t{1'000'000});
  reader.Read("shadow.queue", &shadow_queue, std::size_t{1}, std::size_t{100'000});
  reader.Read("shadow.limit", &shadow_limit);
  reader.Read("capture.queue", &capture_queue, std::size_t{1}, std::size_t{100'000});
  reader.Read("capture.limit", &capture_limit);
  reader.Read("explain.queue", &explain_queue, std::size_t{1}, std::size_t{1'000});
  reader.Read("follow_interval", &follow_interval, std::chrono::milliseconds{10},
              std::chrono::milliseconds{60'000});
  reader.Require("registry.address", registry_address);
  bus.RequireAddress(reader);
}

}  // namespace tidewheel::inference
