#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "tidewheel/base/bounded_queue.h"
#include "tidewheel/base/clock.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/inference/domain/model_table.h"
#include "tidewheel/inference/domain/predictor.h"
#include "tidewheel/inference/domain/under_way.h"
#include "tidewheel/inference/explaining/explain_queue.h"
#include "tidewheel/inference/v1/inference_service.grpc.pb.h"
#include "tidewheel/rpc/direct_call.h"

namespace tidewheel::inference {

/// The rpcs of inference: none blocks. Predictions, whose calls are direct, wait in a bounded queue
/// for a worker that decodes their pictures, and then, without a thread of theirs, for the model;
/// one whose caller has gone or whose deadline has passed is not run.
class InferenceHandler final : public v1::InferenceService::CallbackService {
 public:
  struct Options {
    std::size_t workers = 2;    // Threads that decode pictures.
    std::size_t queue = 1'024;  // Requests that may wait beside as many as workers; the next is
                                // refused.
  };

  InferenceHandler(Predictor& predictor, const ModelTable& table, ExplainQueue& explanations,
                   const Clock& clock, const Options& options);
  ~InferenceHandler() override;

  /// Predict, to be handed to the server beside this service (rpc::ServerOptions).
  rpc::DirectMethod DirectPredict();
  grpc::ServerUnaryReactor* RecordOutcomes(grpc::CallbackServerContext* context,
                                           const v1::RecordOutcomesRequest* request,
                                           v1::RecordOutcomesResponse* response) override;
  grpc::ServerUnaryReactor* Explain(grpc::CallbackServerContext* context,
                                    const v1::ExplainRequest* request,
                                    v1::ExplainResponse* response) override;
  grpc::ServerUnaryReactor* ListLoadedModels(grpc::CallbackServerContext* context,
                                             const v1::ListLoadedModelsRequest* request,
                                             v1::ListLoadedModelsResponse* response) override;

 private:
  /// A prediction under way.
  struct Asked {
    std::shared_ptr<rpc::DirectCall> call{};
    std::chrono::steady_clock::time_point arrived = std::chrono::steady_clock::now();
    v1::PredictRequest request{};  // Once its turn has come.
  };
  using Job = std::shared_ptr<Asked>;

  void Predict(std::shared_ptr<rpc::DirectCall> call);
  void Work(std::stop_token stop);
  /// Asks the model; the answer finishes the call, then hands on what follows it.
  void Run(const Job& job);
  void Fail(const Job& job, const grpc::Status& status);
  /// Tells of a call that was not tried because of us, and finishes it.
  void Refuse(const Job& job, const Error& why);

  Predictor& predictor_;
  const ModelTable& table_;
  ExplainQueue& explanations_;
  const Clock& clock_;
  const std::size_t most_under_way_;
  UnderWay under_way_;  // Predictions, until what follows them has been handed on.
  BoundedQueue<Job> queue_;
  std::vector<std::unique_ptr<Worker>> workers_;  // Last: they use the rest.
};

}  // namespace tidewheel::inference
