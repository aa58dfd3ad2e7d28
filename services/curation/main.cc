#include "tidewheel/curation/app.h"
#include "tidewheel/curation/config.h"
#include "tidewheel/rpc/service_main.h"

int main(int argc, char** argv) {
  namespace curation = tidewheel::curation;
  return tidewheel::rpc::ServiceMain<curation::Config, curation::App>("curation", argc, argv,
                                                                      curation::Migrate);
}
