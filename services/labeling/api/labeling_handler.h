#pragma once

#include "tidewheel/labeling/domain/label_maker.h"
#include "tidewheel/labeling/domain/label_store.h"
#include "tidewheel/labeling/domain/vote_store.h"
#include "tidewheel/labeling/domain/vote_taker.h"
#include "tidewheel/labeling/v1/labeling_service.grpc.pb.h"

namespace tidewheel::labeling {

/// The LabelingService: convert, call, convert.
class LabelingHandler final : public v1::LabelingService::Service {
 public:
  LabelingHandler(VoteTaker& taker, LabelMaker& maker, VoteStore& votes, LabelStore& labels)
      : taker_(taker), maker_(maker), votes_(votes), labels_(labels) {}

  grpc::Status SubmitVotes(grpc::ServerContext* context, const v1::SubmitVotesRequest* request,
                           v1::SubmitVotesResponse* response) override;
  grpc::Status ListVotes(grpc::ServerContext* context, const v1::ListVotesRequest* request,
                         v1::ListVotesResponse* response) override;
  grpc::Status ComputeLabels(grpc::ServerContext* context, const v1::ComputeLabelsRequest* request,
                             v1::ComputeLabelsResponse* response) override;
  grpc::Status GetLabel(grpc::ServerContext* context, const v1::GetLabelRequest* request,
                        v1::GetLabelResponse* response) override;
  grpc::Status ListLabels(grpc::ServerContext* context, const v1::ListLabelsRequest* request,
                          v1::ListLabelsResponse* response) override;
  grpc::Status ListAnnotators(grpc::ServerContext* context,
                              const v1::ListAnnotatorsRequest* request,
                              v1::ListAnnotatorsResponse* response) override;

 private:
  VoteTaker& taker_;
  LabelMaker& maker_;
  VoteStore& votes_;
  LabelStore& labels_;
};

}  // namespace tidewheel::labeling
