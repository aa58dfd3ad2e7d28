#include "tidewheel/curation/api/curation_handler.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tidewheel/curation/domain/fake_stores.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/server.h"

namespace tidewheel::curation {
namespace {

class CurationHandlerTest : public testing::Test {
 protected:
  CurationHandlerTest() {
    tasks_.tasks["lights"] = {
        .name = "lights", .version = 2, .classes = {"red", "green"}, .min_confidence = 0.5};
    Add(6, "red", Split::kTraining);
    Add(3, "green", Split::kTraining);
    Add(2, "green", Split::kValidation);
    Add(2, "red", Split::kTest);
    server_.Add(handler_);
    const auto started = server_.Start();
    EXPECT_TRUE(started.ok());
    stub_ = v1::CurationService::NewStub(rpc::OpenChannel(server_.address()));
  }

  void Add(int count, const std::string& class_name, Split split) {
    for (int i = 0; i < count; ++i) {
      store_.samples.push_back(
          {FakeDigest("picture " + std::to_string(store_.samples.size())), class_name, split, 1});
    }
  }

  grpc::Status Build(const v1::BuildDatasetVersionRequest& request,
                     v1::BuildDatasetVersionResponse* response) {
    rpc::ClientContextWithDeadline context(std::chrono::seconds(10));
    return stub_->BuildDatasetVersion(&context, request, response);
  }

  FakeTaskCatalogue tasks_;
  FakeDatasetStore store_;
  FakeManifestArchive archive_;
  SystemClock clock_;
  DatasetBuilder builder_{tasks_, store_, archive_, clock_};
  CurationHandler handler_{builder_, store_};
  metrics::Registry metrics_{"curation"};
  rpc::Server server_{{}, metrics_};
  std::unique_ptr<v1::CurationService::Stub> stub_;
};

TEST_F(CurationHandlerTest, BuildAnswersWithTheWholeReport) {
  v1::BuildDatasetVersionRequest request;
  request.mutable_recipe()->set_task("lights");
  request.set_description("first");
  request.set_actor("ann");
  v1::BuildDatasetVersionResponse response;

  const auto status = Build(request, &response);

  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(response.created());
  const v1::DatasetVersion& version = response.dataset_version();
  EXPECT_EQ(version.items(), 13u);
  EXPECT_EQ(version.digest().size(), 64u);
  EXPECT_EQ(version.recipe().class_weighting(), v1::CLASS_WEIGHTING_INVERSE_FREQUENCY);
  EXPECT_EQ(version.recipe().min_confidence(), 0.5);
  ASSERT_EQ(version.report().classes_size(), 2);
  EXPECT_EQ(version.report().classes(0).training(), 6u);
  EXPECT_NEAR(version.report().imbalance(), 2, 1e-12);
  EXPECT_EQ(version.built_by(), "ann");

  v1::BuildDatasetVersionResponse again;
  ASSERT_TRUE(Build(request, &again).ok());
  EXPECT_FALSE(again.created());
  EXPECT_EQ(again.dataset_version().dataset_version_id(), version.dataset_version_id());
}

TEST_F(CurationHandlerTest, ErrorsKeepTheirCodes) {
  v1::BuildDatasetVersionRequest request;
  v1::BuildDatasetVersionResponse response;
  EXPECT_EQ(Build(request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.mutable_recipe()->set_task("signs");
  EXPECT_EQ(Build(request, &response).error_code(), grpc::StatusCode::NOT_FOUND);
  request.mutable_recipe()->set_task("lights");
  request.mutable_recipe()->set_class_weighting(static_cast<v1::ClassWeighting>(77));
  EXPECT_EQ(Build(request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.mutable_recipe()->clear_class_weighting();
  store_.samples.clear();
  const auto status = Build(request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(status.error_message().find("no labeled sample"), std::string::npos);
}

TEST_F(CurationHandlerTest, VersionIsFoundByIdDigestAndName) {
  v1::BuildDatasetVersionRequest build;
  build.mutable_recipe()->set_task("lights");
  v1::BuildDatasetVersionResponse built;
  ASSERT_TRUE(Build(build, &built).ok());
  const v1::DatasetVersion& version = built.dataset_version();

  v1::GetDatasetVersionRequest by_id;
  by_id.set_dataset_version_id(version.dataset_version_id());
  v1::GetDatasetVersionRequest by_digest;
  by_digest.set_digest(version.digest());
  v1::GetDatasetVersionRequest by_name;
  by_name.mutable_name()->set_task("lights");
  for (const auto& request : {by_id, by_digest, by_name}) {
    rpc::ClientContextWithDeadline context(std::chrono::seconds(10));
    v1::GetDatasetVersionResponse response;
    const auto status = stub_->GetDatasetVersion(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.dataset_version().dataset_version_id(), version.dataset_version_id());
  }

  v1::GetDatasetVersionRequest wrong;
  wrong.set_digest("abc");
  rpc::ClientContextWithDeadline context(std::chrono::seconds(10));
  v1::GetDatasetVersionResponse response;
  EXPECT_EQ(stub_->GetDatasetVersion(&context, wrong, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(CurationHandlerTest, ListsArePagedToTheEndWithoutRepeats) {
  for (int i = 0; i < 5; ++i) {
    DatasetVersion version;
    version.dataset_version_id = DatasetVersionId(NewUuid());
    version.task = "lights";
    version.version = static_cast<std::uint32_t>(i + 1);
    version.built_at = clock_.Now();
    store_.versions.push_back(version);
  }
  std::set<std::string> seen;
  v1::ListDatasetVersionsRequest request;
  request.set_task("lights");
  request.set_page_size(2);
  int pages = 0;
  do {
    rpc::ClientContextWithDeadline context(std::chrono::seconds(10));
    v1::ListDatasetVersionsResponse response;
    const auto status = stub_->ListDatasetVersions(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    for (const auto& version : response.dataset_versions()) {
      EXPECT_TRUE(seen.insert(version.dataset_version_id()).second);
    }
    request.set_page_token(response.next_page_token());
    ++pages;
  } while (!request.page_token().empty() && pages < 10);
  EXPECT_EQ(seen.size(), 5u);
  EXPECT_EQ(pages, 3);
}

TEST_F(CurationHandlerTest, TokenOfAnotherListIsRefused) {
  for (int i = 0; i < 3; ++i) {
    DatasetVersion version;
    version.dataset_version_id = DatasetVersionId(NewUuid());
    version.task = "lights";
    version.built_at = clock_.Now();
    store_.versions.push_back(version);
  }
  v1::ListDatasetVersionsRequest request;
  request.set_page_size(1);
  v1::ListDatasetVersionsResponse response;
  {
    rpc::ClientContextWithDeadline context(std::chrono::seconds(10));
    ASSERT_TRUE(stub_->ListDatasetVersions(&context, request, &response).ok());
  }
  request.set_task("lights");
  request.set_page_token(response.next_page_token());
  {
    rpc::ClientContextWithDeadline context(std::chrono::seconds(10));
    EXPECT_EQ(stub_->ListDatasetVersions(&context, request, &response).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT);
  }
  request.clear_page_token();
  request.set_page_size(-1);
  rpc::ClientContextWithDeadline context(std::chrono::seconds(10));
  EXPECT_EQ(stub_->ListDatasetVersions(&context, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(CurationHandlerTest, ItemsArePagedInTheirOrder) {
  DatasetVersion version;
  version.dataset_version_id = DatasetVersionId(NewUuid());
  store_.versions.push_back(version);
  for (std::uint64_t i = 0; i < 5; ++i) {
    DatasetItem item;
    item.ordinal = i;
    item.sample_id = SampleId("sample-" + std::to_string(i));
    item.class_name = "red";
    store_.items.push_back(item);
  }
  v1::ListDatasetItemsRequest request;
  request.set_dataset_version_id(version.dataset_version_id.text());
  request.set_page_size(2);
  std::vector<std::string> seen;
  int pages = 0;
  do {
    rpc::ClientContextWithDeadline context(std::chrono::seconds(10));
    v1::ListDatasetItemsResponse response;
    ASSERT_TRUE(stub_->ListDatasetItems(&context, request, &response).ok());
    for (const auto& item : response.items()) seen.push_back(item.sample_id());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty() && ++pages < 10);
  EXPECT_EQ(seen,
            (std::vector<std::string>{"sample-0", "sample-1", "sample-2", "sample-3", "sample-4"}));
}

}  // namespace
}  // namespace tidewheel::curation
