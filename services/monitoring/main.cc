#include "tidewheel/monitoring/app.h"
#include "tidewheel/monitoring/config.h"
#include "tidewheel/rpc/service_main.h"

int main(int argc, char** argv) {
  namespace monitoring = tidewheel::monitoring;
  return tidewheel::rpc::ServiceMain<monitoring::Config, monitoring::App>("monitoring", argc, argv,
                                                                          monitoring::Migrate);
}
