#include "tidewheel/model_registry/app.h"
#include "tidewheel/model_registry/config.h"
#include "tidewheel/rpc/service_main.h"

int main(int argc, char** argv) {
  namespace registry = tidewheel::model_registry;
  return tidewheel::rpc::ServiceMain<registry::Config, registry::App>("model-registry", argc, argv,
                                                                      registry::Migrate);
}
