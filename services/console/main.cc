#include "tidewheel/console/app.h"
#include "tidewheel/console/config.h"
#include "tidewheel/rpc/service_main.h"

int main(int argc, char** argv) {
  namespace console = tidewheel::console;
  // Nothing to migrate: this service stores nothing yet.
  return tidewheel::rpc::ServiceMain<console::Config, console::App>("console", argc, argv);
}
