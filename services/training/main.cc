#include "tidewheel/rpc/service_main.h"
#include "tidewheel/training/app.h"
#include "tidewheel/training/config.h"

int main(int argc, char** argv) {
  namespace training = tidewheel::training;
  return tidewheel::rpc::ServiceMain<training::Config, training::App>("training", argc, argv,
                                                                      training::Migrate);
}
