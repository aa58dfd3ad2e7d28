#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "tidewheel/console/gateway/json_mapping.h"
#include "tidewheel/console/gateway/rpc_catalog.h"
#include "tidewheel/curation/v1/curation_service.pb.h"
#include "tidewheel/ingestion/v1/ingestion_service.pb.h"

namespace tidewheel::console {
namespace {

std::string ProblemOf(const std::string& query) {
  ingestion::v1::ListSamplesRequest request;
  const auto read = QueryToMessage(query, &request);
  return read ? "" : read.error().message;
}

TEST(QueryTest, FieldsAreSetByNameOfEitherForm) {
  ingestion::v1::ListSamplesRequest request;

  const auto read = QueryToMessage(
      "task=traffic%20lights&page_size=10&split=SPLIT_TEST&includeDeactivated=true&name=a%2Bb+c",
      &request);

  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(request.task(), "traffic lights");
  EXPECT_EQ(request.page_size(), 10);
  EXPECT_EQ(request.split(), ingestion::v1::SPLIT_TEST);
  EXPECT_TRUE(request.include_deactivated());
  EXPECT_EQ(request.name(), "a+b c");
}

TEST(QueryTest, NestedRepeatedAndTimeFieldsAreUnderstood) {
  curation::v1::BuildDatasetVersionRequest request;

  const auto read = QueryToMessage(
      "recipe.task=t&recipe.sources=a&recipe.sources=b&recipe.added_until=2026-11-22T10:00:00Z&"
      "recipe.min_confidence=0.5",
      &request);

  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(request.recipe().task(), "t");
  ASSERT_EQ(request.recipe().sources_size(), 2);
  EXPECT_EQ(request.recipe().sources(1), "b");
  EXPECT_EQ(request.recipe().added_until().seconds(), 1'795'341'600);
  EXPECT_DOUBLE_EQ(request.recipe().min_confidence(), 0.5);
}

TEST(QueryTest, FieldOfAOneofIsSetOnceAndAlone) {
  curation::v1::GetDatasetVersionRequest request;
  ASSERT_TRUE(QueryToMessage("name.task=t&name.version=3", &request));
  EXPECT_EQ(request.name().version(), 3u);

  EXPECT_FALSE(QueryToMessage("digest=x", &request));
}

TEST(QueryTest, EmptyValueOfAOneofStillChoosesIt) {
  curation::v1::GetDatasetVersionRequest request;

  ASSERT_TRUE(QueryToMessage("digest=", &request));

  EXPECT_EQ(request.by_case(), curation::v1::GetDatasetVersionRequest::kDigest);
}

TEST(QueryTest, EveryMistakeNamesItsParameter) {
  EXPECT_NE(ProblemOf("colour=red").find("\"colour\": no such field"), std::string::npos);
  EXPECT_NE(ProblemOf("page_size=ten").find("whole number"), std::string::npos);
  EXPECT_NE(ProblemOf("page_size=3000000000").find("page_size"), std::string::npos);
  EXPECT_NE(ProblemOf("page_size=").find("whole number"), std::string::npos);
  EXPECT_NE(ProblemOf("split=SPLIT_ALL").find("name of tidewheel.ingestion.v1.Split"),
            std::string::npos);
  EXPECT_NE(ProblemOf("include_deactivated=maybe").find("true or false"), std::string::npos);
  EXPECT_NE(ProblemOf("task=a&task=b").find("twice"), std::string::npos);
  EXPECT_NE(ProblemOf("task.name=a").find("has no fields"), std::string::npos);
  EXPECT_NE(ProblemOf("task=%zz").find("%"), std::string::npos);
  EXPECT_NE(ProblemOf("task=%FF"), "");
  EXPECT_NE(ProblemOf("=x"), "");
  std::string many;
  for (int i = 0; i < 101; ++i) many += "task=x&";
  EXPECT_NE(ProblemOf(many).find("100"), std::string::npos);
}

TEST(RpcCatalogTest, AServicesPackagesAreReachedUnderItsOneName) {
  const RpcCatalog catalog;
  for (const auto& [service, rpc, full] :
       {std::tuple{"training", "ListCycles", "/tidewheel.training.v1.CycleService/ListCycles"},
        std::tuple{"training", "ListRuns", "/tidewheel.training.v1.TrainingService/ListRuns"},
        std::tuple{"labeling", "ListQueue", "/tidewheel.labeling.v1.QueueService/ListQueue"},
        std::tuple{"model-registry", "SetRollout",
                   "/tidewheel.model_registry.v1.ModelRegistryService/SetRollout"},
        std::tuple{"monitoring", "GetAlert",
                   "/tidewheel.monitoring.v1.MonitoringService/GetAlert"}}) {
    const auto* found = catalog.Find(service, rpc);
    ASSERT_NE(found, nullptr) << rpc;
    EXPECT_EQ(found->grpc_method, full);
  }
  EXPECT_TRUE(catalog.Find("training", "WatchCycle")->streams());
  EXPECT_FALSE(catalog.Find("training", "StartCycle")->reads());

  // Two protos of one package share a path, so no name may stand in both.
  for (const auto& service : catalog.services()) {
    std::set<std::string> names;
    for (const auto& rpc : catalog.rpcs(service)) {
      EXPECT_TRUE(names.insert(rpc.name).second) << service << "/" << rpc.name;
    }
  }
}

TEST(JsonMappingTest, BytesAndLongNumbersSurviveTheRoundTrip) {
  ingestion::v1::PushSampleRequest request;
  request.set_task("t");
  request.mutable_sample()->set_payload(std::string("\0\xFF\x01", 3));
  (*request.mutable_sample()->mutable_metadata())["k"] = "<script>";

  const std::string json = MessageToJson(request);
  ingestion::v1::PushSampleRequest back;
  ASSERT_TRUE(JsonToMessage(json, &back));

  EXPECT_EQ(back.SerializeAsString(), request.SerializeAsString());
  EXPECT_NE(json.find("\"AP8B\""), std::string::npos);
  // A browser that were to read it as HTML would find no element in it.
  EXPECT_EQ(json.find("<script>"), std::string::npos);
}

TEST(JsonMappingTest, EmptyBodyIsAnEmptyMessageAndUnknownFieldsAreRefused) {
  ingestion::v1::ListSamplesRequest request;

  EXPECT_TRUE(JsonToMessage(" \n", &request));
  EXPECT_TRUE(JsonToMessage("{}", &request));
  EXPECT_FALSE(JsonToMessage("{\"colour\":1}", &request));
  EXPECT_FALSE(JsonToMessage("{\"task\":", &request));
  EXPECT_FALSE(JsonToMessage("[]", &request));
}

TEST(JsonMappingTest, DeepNestingIsRefusedInsteadOfExhaustingTheStack) {
  ingestion::v1::ListSamplesRequest request;
  std::string deep = "{\"task\":";
  for (int i = 0; i < 100'000; ++i) deep += "[";

  EXPECT_FALSE(JsonToMessage(deep, &request));
}

TEST(JsonMappingTest, EveryFieldIsWrittenWithItsProtoName) {
  const std::string json = MessageToJson(ingestion::v1::ListSamplesResponse());

  EXPECT_EQ(json, "{\"samples\":[],\"next_page_token\":\"\"}");
}

TEST(RpcCatalogTest, KnowsEveryServiceAndWhatOnlyReads) {
  const RpcCatalog catalog;

  EXPECT_EQ(catalog.services(),
            (std::vector<std::string>{"console", "curation", "inference", "ingestion", "labeling",
                                      "model-registry", "monitoring", "training"}));
  const auto* list = catalog.Find("model-registry", "ListTasks");
  ASSERT_NE(list, nullptr);
  EXPECT_EQ(list, catalog.Find("model_registry", "ListTasks"));
  EXPECT_EQ(list->grpc_method, "/tidewheel.model_registry.v1.ModelRegistryService/ListTasks");
  EXPECT_TRUE(list->reads());
  EXPECT_TRUE(catalog.Find("model-registry", "VerifyAuditChain")->reads());
  EXPECT_FALSE(catalog.Find("model-registry", "PromoteModelVersion")->reads());
  EXPECT_TRUE(catalog.Find("training", "WatchRun")->streams());
  EXPECT_FALSE(catalog.Find("ingestion", "StreamSamples")->over_http());
  EXPECT_NE(catalog.Find("curation", "Trace"), nullptr);
  EXPECT_EQ(catalog.Find("ingestion", "Nothing"), nullptr);
  EXPECT_EQ(catalog.Find("nobody", "ListTasks"), nullptr);
}

TEST(ErrorToJsonTest, MessageCannotBreakOutOfItsText) {
  EXPECT_EQ(ErrorToJson({ErrorCode::kNotFound, "no task \"x\""}),
            "{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"no task \\\"x\\\"\"}}\n");
}

}  // namespace
}  // namespace tidewheel::console
