#include "tidewheel/ingestion/app.h"
#include "tidewheel/ingestion/config.h"
#include "tidewheel/rpc/service_main.h"

int main(int argc, char** argv) {
  namespace ingestion = tidewheel::ingestion;
  return tidewheel::rpc::ServiceMain<ingestion::Config, ingestion::App>("ingestion", argc, argv,
                                                                        ingestion::Migrate);
}
