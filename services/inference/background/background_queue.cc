#include "tidewheel/inference/background/background_queue.h"

#include <sys/resource.h>
#include <unistd.h>

namespace tidewheel::inference {

void LowerPriority() {
  constexpr int kLeastUrgent = 19;
  // On Linux niceness belongs to the thread. Where it cannot be had the work is as urgent as the
  // rest, and still nobody waits for it.
  static_cast<void>(setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kLeastUrgent));
}

}  // namespace tidewheel::inference
