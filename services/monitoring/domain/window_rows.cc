#include "tidewheel/monitoring/domain/window_rows.h"

namespace tidewheel::monitoring {

std::string WindowKey::Id() const {
  if (slice.empty() && kind == "count")
    return model.model_version_id + "/" + std::to_string(number);
  return model.model_version_id + "/" + kind + "/" + slice + "/" + std::to_string(number);
}

}  // namespace tidewheel::monitoring
