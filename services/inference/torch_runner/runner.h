#pragma once

namespace tidewheel::inference {

/// Loads the model that the other end of `socket` orders and answers requests in shared memory
/// until that end is gone. Gives the process's exit status.
int ServeModel(int socket);

}  // namespace tidewheel::inference
