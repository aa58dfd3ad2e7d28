#include "tidewheel/model_registry/domain/model_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/base/random.h"
#include "tidewheel/model_registry/domain/fake_stores.h"

namespace tidewheel::model_registry {
namespace {

/// Not a good hash, but a hash.
Digest HashForTests(std::string_view bytes) {
  Digest digest;
  const std::uint64_t hash = StableHash(bytes);
  std::memcpy(digest.bytes.data(), &hash, sizeof hash);
  return digest;
}

class FakePackageReader final : public PackageReader {
 public:
  Result<PackageManifest> Read(const std::vector<PackageFile>& /*files*/) const override {
    return manifest;
  }
  PackageManifest manifest;
};

class ModelCatalogTest : public testing::Test {
 protected:
  ModelCatalogTest() {
    TaskSpec spec = GoodSpec();
    spec.gate.min_primary_metric = 0.9;
    Task task;
    task.spec = spec;
    task.version = 1;
    EXPECT_TRUE(tasks_.Append(task, {}).ok());
    packages_.manifest.task = spec.name;
    packages_.manifest.run_id = "run-1";
    packages_.manifest.classes = spec.classes;
    packages_.manifest.metrics = {
        {"balanced_accuracy", 0.95}, {"recall.red", 1}, {"recall.yellow", 1}, {"recall.green", 1}};
  }

  static Registration Good() {
    const std::string sha(64, 'a');
    return {"traffic-lights",
            "run-1",
            "dataset-1",
            {{"model.onnx", sha, 10, "obj:x"}, {"model.yaml", sha, 10, "obj:y"}},
            "ann"};
  }

  SystemClock clock_;
  FakeTaskStore tasks_;
  FakeModelStore models_;
  FakePackageReader packages_;
  ModelCatalog catalog_{models_, tasks_, packages_, clock_, &HashForTests};
};

TEST_F(ModelCatalogTest, RegistersOncePerRun) {
  const auto first = catalog_.Register(Good());
  const auto second = catalog_.Register(Good());

  ASSERT_TRUE(first.ok()) << first.error().message;
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(first->created);
  EXPECT_FALSE(second->created);
  EXPECT_EQ(first->model_version.id, second->model_version.id);
}

TEST_F(ModelCatalogTest, RefusesAPackageOfAnotherTaskRunOrClasses) {
  packages_.manifest.task = "dogs";
  EXPECT_THAT(catalog_.Register(Good()).error().message, testing::HasSubstr("for task dogs"));
  packages_.manifest.task = "traffic-lights";
  packages_.manifest.run_id = "run-2";
  EXPECT_THAT(catalog_.Register(Good()).error().message, testing::HasSubstr("run run-2"));
  packages_.manifest.run_id = "run-1";
  packages_.manifest.classes = {"green", "red"};
  EXPECT_THAT(catalog_.Register(Good()).error().message, testing::HasSubstr("classes"));
}

TEST_F(ModelCatalogTest, RefusesBadFileLists) {
  Registration none = Good();
  none.files.clear();
  EXPECT_EQ(catalog_.Register(none).error().code, ErrorCode::kInvalidArgument);

  Registration escape = Good();
  escape.files[0].name = "../model.onnx";
  EXPECT_EQ(catalog_.Register(escape).error().code, ErrorCode::kInvalidArgument);

  Registration twice = Good();
  twice.files.push_back(twice.files[0]);
  EXPECT_THAT(catalog_.Register(twice).error().message, testing::HasSubstr("twice"));

  Registration bare = Good();
  bare.files.pop_back();
  EXPECT_THAT(catalog_.Register(bare).error().message, testing::HasSubstr("no model.yaml"));
}

TEST_F(ModelCatalogTest, PromotionNeedsTheGateOrAReason) {
  packages_.manifest.metrics["balanced_accuracy"] = 0.5;
  const auto id = catalog_.Register(Good())->model_version.id;

  const auto refused = catalog_.Promote(id, "ann", "");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("0.5000, the bar is 0.9000"));

  const auto forced = catalog_.Promote(id, "ann", "the old one is worse");
  ASSERT_TRUE(forced.ok());
  EXPECT_TRUE(forced->deployment.changed);
  EXPECT_EQ(models_.audits.back().details.at("override_reason"), "the old one is worse");
}

TEST_F(ModelCatalogTest, PromotingTwiceChangesNothing) {
  const auto id = catalog_.Register(Good())->model_version.id;

  EXPECT_TRUE(catalog_.Promote(id, "ann", "")->deployment.changed);
  EXPECT_FALSE(catalog_.Promote(id, "ann", "")->deployment.changed);
  EXPECT_EQ(catalog_.Promote("other", "ann", "").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace tidewheel::model_registry
