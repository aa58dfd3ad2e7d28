#pragma once

#include "tidewheel/bus/buffered_publisher.h"
#include "tidewheel/inference/domain/facts.h"

namespace tidewheel::inference {

/// Turns facts into events of tidewheel.predictions, tidewheel.outcomes and tidewheel.captures.
/// Thread-safe.
class BusFactSink final : public FactSink {
 public:
  explicit BusFactSink(bus::BufferedPublisher& publisher) : publisher_(publisher) {}

  void Tell(const PredictionFact& fact) override;
  bool Tell(const OutcomeFact& fact) override;
  bool Tell(const CaptureFact& fact) override;

 private:
  bus::BufferedPublisher& publisher_;
};

}  // namespace tidewheel::inference
