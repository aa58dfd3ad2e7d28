#include "tidewheel/labeling/api/labeling_handler.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>

#include "tidewheel/labeling/domain/fake_stores.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/server.h"

namespace tidewheel::labeling {
namespace {

const std::string kFirst = "018f0000-0000-7000-8000-000000000001";
const std::string kSecond = "018f0000-0000-7000-8000-000000000002";

class LabelingHandlerTest : public testing::Test {
 protected:
  LabelingHandlerTest() {
    tasks_.tasks["lights"] = {.name = "lights", .version = 1, .classes = {"red", "green"}};
    votes_.samples = {{kFirst, "a.png", std::string(64, 'a')},
                      {kSecond, "b.png", std::string(64, 'b')}};
    server_.Add(handler_);
    const auto started = server_.Start();
    EXPECT_TRUE(started.ok());
    stub_ = v1::LabelingService::NewStub(rpc::OpenChannel(server_.address()));
  }

  static void Add(v1::SubmitVotesRequest& request, const std::string& name,
                  const std::string& class_name, const std::string& annotator) {
    v1::NewVote* const vote = request.add_votes();
    vote->set_sample_name(name);
    vote->set_class_name(class_name);
    vote->set_annotator(annotator);
    vote->set_annotator_kind(v1::ANNOTATOR_KIND_PERSON);
    vote->set_source("test");
  }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::LabelingService::Stub::*method)(grpc::ClientContext*,
                                                                      const Request&, Response*),
                    const Request& request, Response* response) {
    rpc::ClientContextWithDeadline context(std::chrono::seconds(10));
    return (stub_.get()->*method)(&context, request, response);
  }

  FakeTaskCatalogue tasks_;
  FakeVoteStore votes_;
  FakeLabelStore labels_{votes_};
  SystemClock clock_;
  VoteTaker taker_{tasks_, votes_, clock_};
  LabelMaker maker_{tasks_, labels_, clock_};
  LabelingHandler handler_{taker_, maker_, votes_, labels_};
  metrics::Registry metrics_{"labeling"};
  rpc::Server server_{{}, metrics_};
  std::unique_ptr<v1::LabelingService::Stub> stub_;
};

TEST_F(LabelingHandlerTest, VotesBecomeLabels) {
  v1::SubmitVotesRequest submit;
  submit.set_task("lights");
  Add(submit, "a.png", "red", "ann");
  Add(submit, "a.png", "red", "bob");
  Add(submit, "b.png", "purple", "ann");
  v1::SubmitVotesResponse submitted;
  ASSERT_TRUE(Call(&v1::LabelingService::Stub::SubmitVotes, submit, &submitted).ok());
  EXPECT_EQ(submitted.accepted(), 2u);
  ASSERT_EQ(submitted.rejected_size(), 1);
  EXPECT_EQ(submitted.rejected(0).index(), 2u);
  EXPECT_EQ(submitted.rejected(0).reason(), "class \"purple\" is not in task lights (red, green)");

  v1::ComputeLabelsRequest compute;
  compute.set_task("lights");
  v1::ComputeLabelsResponse computed;
  const auto status = Call(&v1::LabelingService::Stub::ComputeLabels, compute, &computed);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(computed.method(), v1::CONSENSUS_METHOD_MAJORITY);
  EXPECT_EQ(computed.changed(), 1u);
  EXPECT_EQ(computed.votes(), 2u);

  v1::GetLabelRequest get;
  get.set_sample_id(kFirst);
  v1::GetLabelResponse got;
  ASSERT_TRUE(Call(&v1::LabelingService::Stub::GetLabel, get, &got).ok());
  EXPECT_EQ(got.label().class_name(), "red");
  EXPECT_EQ(got.label().votes(), 2u);
  EXPECT_GT(got.label().decided_at().seconds(), 0);

  v1::ListAnnotatorsRequest list;
  list.set_task("lights");
  v1::ListAnnotatorsResponse listed;
  ASSERT_TRUE(Call(&v1::LabelingService::Stub::ListAnnotators, list, &listed).ok());
  ASSERT_EQ(listed.annotators_size(), 2);
  EXPECT_TRUE(listed.annotators(0).has_quality());
  EXPECT_EQ(listed.annotators(0).kind(), v1::ANNOTATOR_KIND_PERSON);
}

TEST_F(LabelingHandlerTest, ErrorsKeepTheirCodes) {
  v1::SubmitVotesRequest submit;
  v1::SubmitVotesResponse submitted;
  EXPECT_EQ(Call(&v1::LabelingService::Stub::SubmitVotes, submit, &submitted).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  submit.set_task("signs");
  EXPECT_EQ(Call(&v1::LabelingService::Stub::SubmitVotes, submit, &submitted).error_code(),
            grpc::StatusCode::NOT_FOUND);
  submit.set_task("lights");
  submit.add_votes()->set_annotator_kind(static_cast<v1::AnnotatorKind>(99));
  EXPECT_EQ(Call(&v1::LabelingService::Stub::SubmitVotes, submit, &submitted).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);

  v1::ComputeLabelsRequest compute;
  compute.set_task("lights");
  v1::ComputeLabelsResponse computed;
  EXPECT_EQ(Call(&v1::LabelingService::Stub::ComputeLabels, compute, &computed).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);

  v1::GetLabelRequest get;
  get.set_sample_id("seven");
  v1::GetLabelResponse got;
  EXPECT_EQ(Call(&v1::LabelingService::Stub::GetLabel, get, &got).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  get.set_sample_id(kFirst);
  EXPECT_EQ(Call(&v1::LabelingService::Stub::GetLabel, get, &got).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(LabelingHandlerTest, VotesArePagedToTheEndWithoutRepeats) {
  v1::SubmitVotesRequest submit;
  submit.set_task("lights");
  for (int i = 0; i < 5; ++i) Add(submit, "a.png", "red", "ann" + std::to_string(i));
  v1::SubmitVotesResponse submitted;
  ASSERT_TRUE(Call(&v1::LabelingService::Stub::SubmitVotes, submit, &submitted).ok());

  std::set<std::string> seen;
  v1::ListVotesRequest list;
  list.set_task("lights");
  list.set_page_size(2);
  int pages = 0;
  do {
    v1::ListVotesResponse listed;
    ASSERT_TRUE(Call(&v1::LabelingService::Stub::ListVotes, list, &listed).ok());
    for (const v1::Vote& vote : listed.votes()) EXPECT_TRUE(seen.insert(vote.vote_id()).second);
    list.set_page_token(listed.next_page_token());
  } while (++pages < 10 && !list.page_token().empty());

  EXPECT_EQ(seen.size(), 5u);
  EXPECT_EQ(pages, 3);
}

TEST_F(LabelingHandlerTest, TokenOfAnotherFilterIsRefused) {
  v1::SubmitVotesRequest submit;
  submit.set_task("lights");
  for (int i = 0; i < 3; ++i) Add(submit, "a.png", "red", "ann" + std::to_string(i));
  v1::SubmitVotesResponse submitted;
  ASSERT_TRUE(Call(&v1::LabelingService::Stub::SubmitVotes, submit, &submitted).ok());
  v1::ListVotesRequest list;
  list.set_task("lights");
  list.set_page_size(1);
  v1::ListVotesResponse listed;
  ASSERT_TRUE(Call(&v1::LabelingService::Stub::ListVotes, list, &listed).ok());
  ASSERT_FALSE(listed.next_page_token().empty());
  list.set_page_token(listed.next_page_token());
  list.set_sample_id(kFirst);

  const auto of_another_filter = Call(&v1::LabelingService::Stub::ListVotes, list, &listed);
  list.set_page_token("zz");
  const auto garbage = Call(&v1::LabelingService::Stub::ListVotes, list, &listed);
  list.clear_page_token();
  list.set_page_size(-1);
  const auto negative = Call(&v1::LabelingService::Stub::ListVotes, list, &listed);

  for (const auto& status : {of_another_filter, garbage, negative}) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
}

}  // namespace
}  // namespace tidewheel::labeling
