#include "tidewheel/inference/app.h"
#include "tidewheel/inference/config.h"
#include "tidewheel/rpc/service_main.h"

int main(int argc, char** argv) {
  namespace inference = tidewheel::inference;
  // Nothing to migrate: this service owns no schema.
  return tidewheel::rpc::ServiceMain<inference::Config, inference::App>("inference", argc, argv);
}
