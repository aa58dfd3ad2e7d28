#include "tidewheel/labeling/app.h"
#include "tidewheel/labeling/config.h"
#include "tidewheel/rpc/service_main.h"

int main(int argc, char** argv) {
  namespace labeling = tidewheel::labeling;
  return tidewheel::rpc::ServiceMain<labeling::Config, labeling::App>("labeling", argc, argv,
                                                                      labeling::Migrate);
}
