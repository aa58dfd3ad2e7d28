#include "tidewheel/inference/api/inference_handler.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "tidewheel/inference/api/convert.h"
#include "tidewheel/inference/api/explain_convert.h"
#include "tidewheel/rpc/page.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::inference {
namespace {

/// Rises along the table's list: no task's name holds a '#' or anything before it.
std::string PlaceOf(const LoadedModel& model) {
  return model.identity.task + (model.role == Role::kProduction ? "#1" : "#2");
}

/// Its deadline has passed; or its client says so, whose clock began to run before ours did.
bool IsLate(const rpc::DirectCall& call, std::chrono::system_clock::time_point deadline,
            std::chrono::steady_clock::time_point arrived) {
  const auto left = deadline - std::chrono::system_clock::now();
  if (left <= left.zero()) return true;
  return call.cancelled() && left < (std::chrono::steady_clock::now() - arrived) / 8;
}

Result<void> ReadMessage(const rpc::DirectCall& call, v1::PredictRequest& request) {
  const std::string_view message = call.message();
  if (request.ParseFromArray(message.data(), static_cast<int>(message.size()))) return {};
  return Error{ErrorCode::kInvalidArgument, "the message is no PredictRequest"};
}

}  // namespace

InferenceHandler::InferenceHandler(Predictor& predictor, const ModelTable& table,
                                   ExplainQueue& explanations, const Clock& clock,
                                   const Options& options)
    : predictor_(predictor),
      table_(table),
      explanations_(explanations),
      clock_(clock),
      most_under_way_(options.queue + options.workers),
      queue_(most_under_way_) {
  for (std::size_t i = 0; i < options.workers; ++i) {
    workers_.push_back(std::make_unique<Worker>(
        "predict-" + std::to_string(i), [this](std::stop_token stop) { Work(std::move(stop)); }));
  }
}

InferenceHandler::~InferenceHandler() {
  // The server has drained its calls by now; what still waits is answered before the workers go.
  queue_.Close();
  workers_.clear();
  under_way_.Wait();
}

rpc::DirectMethod InferenceHandler::DirectPredict() {
  return {.path = "/tidewheel.inference.v1.InferenceService/Predict",
          .handle = [this](std::shared_ptr<rpc::DirectCall> call) { Predict(std::move(call)); }};
}

void InferenceHandler::Predict(std::shared_ptr<rpc::DirectCall> call) {
  auto job = std::make_shared<Asked>();
  job->call = std::move(call);
  const bool begun = under_way_.TryBegin(most_under_way_);
  Job queued = job;
  if (begun && queue_.TryPush(std::move(queued))) return;
  if (!begun) under_way_.Begin();
  Refuse(job, {ErrorCode::kResourceExhausted,
               std::to_string(most_under_way_) +
                   " predictions are under way already; send it again later"});
}

void InferenceHandler::Work(std::stop_token stop) {
  while (true) {
    const auto jobs = queue_.PopSome(stop, 1);
    if (jobs.empty()) return;
    for (const Job& job : jobs) Run(job);
  }
}

void InferenceHandler::Refuse(const Job& job, const Error& why) {
  if (ReadMessage(*job->call, job->request)) {
    if (auto request = FromProto(job->request)) {
      request->arrived = job->arrived;
      predictor_.Refused(*request, why.code);
    }
  }
  Fail(job, rpc::ToGrpcStatus(why));
}

void InferenceHandler::Fail(const Job& job, const grpc::Status& status) {
  job->call->Refuse(status);
  under_way_.End();
}

void InferenceHandler::Run(const Job& job) {
  const auto deadline = job->call->deadline();
  // First, because a client takes back what is late: that its time passed in our queue is our
  // doing.
  if (deadline && IsLate(*job->call, *deadline, job->arrived)) {
    return Refuse(
        job, {ErrorCode::kDeadlineExceeded, "the deadline passed while the prediction waited"});
  }
  if (job->call->cancelled()) return Fail(job, grpc::Status::CANCELLED);
  if (const auto read = ReadMessage(*job->call, job->request); !read) {
    return Fail(job, rpc::ToGrpcStatus(read.error()));
  }
  auto request = FromProto(job->request);
  if (!request) return Fail(job, rpc::ToGrpcStatus(request.error()));
  request->arrived = job->arrived;
  request->terms.deadline = deadline;
  request->terms.cancelled = [job] { return job->call->cancelled(); };

  predictor_.Predict(*std::move(request), [this, job](Result<PredictResult> result) {
    if (!result) return Fail(job, rpc::ToGrpcStatus(result.error()));
    v1::PredictResponse response;
    ToProto(*result, &response);
    job->call->Answer(rpc::MessageParts::Of(response.SerializeAsString()));
    // After the answer, and from copies of what the request held.
    predictor_.AfterAnswer(std::move(result->follow_up));
    under_way_.End();
  });
}

grpc::ServerUnaryReactor* InferenceHandler::RecordOutcomes(grpc::CallbackServerContext* context,
                                                           const v1::RecordOutcomesRequest* request,
                                                           v1::RecordOutcomesResponse* response) {
  auto* reactor = context->DefaultReactor();
  const auto outcomes = FromProto(*request, clock_.Now());
  if (!outcomes) {
    reactor->Finish(rpc::ToGrpcStatus(outcomes.error()));
    return reactor;
  }
  const auto taken = predictor_.RecordOutcomes(*outcomes);
  if (taken) response->set_accepted(static_cast<std::uint32_t>(*taken));
  reactor->Finish(taken ? grpc::Status::OK : rpc::ToGrpcStatus(taken.error()));
  return reactor;
}

grpc::ServerUnaryReactor* InferenceHandler::Explain(grpc::CallbackServerContext* context,
                                                    const v1::ExplainRequest* request,
                                                    v1::ExplainResponse* response) {
  auto* reactor = context->DefaultReactor();
  auto wanted = FromProto(*request);
  if (!wanted) {
    reactor->Finish(rpc::ToGrpcStatus(wanted.error()));
    return reactor;
  }
  // Until Finish the context and the response are there.
  explanations_.Explain(
      *std::move(wanted), [context] { return context->IsCancelled(); },
      [reactor, response](Result<Explanation> explained) {
        if (explained) ToProto(*explained, response);
        reactor->Finish(explained ? grpc::Status::OK : rpc::ToGrpcStatus(explained.error()));
      });
  return reactor;
}

grpc::ServerUnaryReactor* InferenceHandler::ListLoadedModels(
    grpc::CallbackServerContext* context, const v1::ListLoadedModelsRequest* request,
    v1::ListLoadedModelsResponse* response) {
  auto* reactor = context->DefaultReactor();
  const auto size = rpc::PageSize(request->page_size());
  if (!size) {
    reactor->Finish(rpc::ToGrpcStatus(size.error()));
    return reactor;
  }
  // The list is in memory, in order of task and of role: the last one's place is the token.
  std::string place;
  for (const auto& model : table_.List()) {
    const std::string last = std::move(place);
    place = PlaceOf(model);
    if (place <= request->page_token()) continue;
    if (response->models_size() == *size) {
      response->set_next_page_token(last);
      break;
    }
    *response->add_models() = ToProto(model);
  }
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace tidewheel::inference
