#pragma once

#include <chrono>

#include "tidewheel/console/clients/backends.h"
#include "tidewheel/console/v1/console_service.pb.h"

namespace tidewheel::console {

/// Asks every service for its health at once; takes no longer than `deadline`.
v1::GetPlatformStatusResponse CheckPlatform(const Backends& backends,
                                            std::chrono::milliseconds deadline);

}  // namespace tidewheel::console
