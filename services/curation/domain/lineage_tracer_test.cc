#include "tidewheel/curation/domain/lineage_tracer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "tidewheel/curation/domain/fake_stores.h"

namespace tidewheel::curation {
namespace {

class LineageTracerTest : public testing::Test {
 protected:
  LineageTracerTest() {
    DatasetVersion version;
    version.dataset_version_id = DatasetVersionId("dataset-1");
    version.task = "lights";
    version.version = 4;
    version.items = 40;
    version.votes = 120;
    datasets_.versions.push_back(version);

    world_.predictions["request-1"] = {.request_id = "request-1",
                                       .task = "lights",
                                       .model_version_id = "model-1",
                                       .class_name = "yellow",
                                       .confidence = 0.93,
                                       .predicted_at = {},
                                       .payload_sha256 = {},
                                       .outcome_class_name = {}};
    ModelVersionFacts model;
    model.model_version_id = "model-1";
    model.task = "lights";
    model.version = 2;
    model.run_id = "run-1";
    model.dataset_version_id = "dataset-1";
    world_.models["model-1"] = model;
    RunFacts run;
    run.run_id = "run-1";
    run.task = "lights";
    run.dataset_version_id = "dataset-1";
    run.recipe = "image-cnn";
    run.seed = 3;
    run.code_version = "0123456789abcdef";
    world_.runs["run-1"] = run;

    for (int i = 0; i < 3; ++i) {
      const std::string number = std::to_string(i);
      DatasetItem item;
      item.sample_id = SampleId("sample-" + number);
      item.class_name = i == 2 ? "yellow" : "red";
      item.label_id = LabelId("label-" + number);
      item.label_confidence = 0.9;
      world_.items.push_back(item);
      SampleFacts sample;
      sample.sample_id = "sample-" + number;
      sample.name = "picture-" + number + ".png";
      world_.samples.push_back(sample);
      LabelFacts label;
      label.label_id = i == 1 ? "label-newer" : "label-" + number;
      label.sample_id = sample.sample_id;
      label.class_name = i == 1 ? "green" : item.class_name;
      label.version = 1;
      label.votes = 2;
      world_.labels.push_back(label);
      for (const std::string annotator : {"ann", "bob"}) {
        VoteFacts vote;
        vote.vote_id = "vote-" + number + "-" + annotator;
        vote.sample_id = sample.sample_id;
        vote.class_name = item.class_name;
        vote.annotator = annotator;
        world_.votes.push_back(vote);
      }
    }
  }

  static bool Linked(const Lineage& lineage, const std::string& from, const std::string& relation,
                     const std::string& to) {
    return std::any_of(lineage.edges.begin(), lineage.edges.end(), [&](const LineageEdge& edge) {
      return edge.from_id == from && edge.relation == relation && edge.to_id == to;
    });
  }
  static const LineageNode& Node(const Lineage& lineage, const std::string& id) {
    static const LineageNode kNone;
    for (const LineageNode& node : lineage.nodes) {
      if (node.id == id) return node;
    }
    ADD_FAILURE() << "no node " << id;
    return kNone;
  }

  FakeDatasetStore datasets_;
  FakeLineageSources world_;
  LineageTracer tracer_{world_, world_, world_, datasets_, world_};
};

TEST_F(LineageTracerTest, WalksFromThePredictionDownToTheVotes) {
  const auto lineage = tracer_.TracePrediction("request-1", 2);

  ASSERT_TRUE(lineage.ok()) << lineage.error().message;
  EXPECT_EQ(lineage->nodes.front().kind, "prediction");
  EXPECT_TRUE(Linked(*lineage, "request-1", "served by", "model-1"));
  EXPECT_TRUE(Linked(*lineage, "model-1", "made by", "run-1"));
  EXPECT_TRUE(Linked(*lineage, "run-1", "trained on", "dataset-1"));
  EXPECT_TRUE(Linked(*lineage, "dataset-1", "contains", "sample-2"));
  EXPECT_TRUE(Linked(*lineage, "sample-2", "labeled by", "label-2"));
  EXPECT_TRUE(Linked(*lineage, "label-2", "decided by", "vote-2-ann"));
  EXPECT_TRUE(Linked(*lineage, "label-2", "decided by", "vote-2-bob"));
  EXPECT_EQ(lineage->samples_not_shown, 38u);
  EXPECT_EQ(lineage->votes, 120u);
  EXPECT_EQ(Node(*lineage, "run-1").attributes.at("code_version"), "0123456789abcdef");
}

TEST_F(LineageTracerTest, EveryEdgeHasItsTwoNodes) {
  const auto lineage = tracer_.TracePrediction("request-1", 3);

  ASSERT_TRUE(lineage.ok());
  for (const LineageEdge& edge : lineage->edges) {
    EXPECT_EQ(Node(*lineage, edge.from_id).id, edge.from_id);
    EXPECT_EQ(Node(*lineage, edge.to_id).id, edge.to_id);
  }
}

TEST_F(LineageTracerTest, ExamplesArePreferablyOfThePredictedClass) {
  const auto lineage = tracer_.TracePrediction("request-1", 1);

  ASSERT_TRUE(lineage.ok());
  EXPECT_EQ(Node(*lineage, "sample-2").title, "picture-2.png");
  EXPECT_EQ(Node(*lineage, "label-2").attributes.at("class"), "yellow");
}

TEST_F(LineageTracerTest, LabelThatWasReplacedSinceIsShownAsItWas) {
  const auto lineage = tracer_.TraceDatasetVersion(DatasetVersionId("dataset-1"), 3);

  ASSERT_TRUE(lineage.ok());
  const LineageNode& label = Node(*lineage, "label-1");
  EXPECT_EQ(label.attributes.at("class"), "red");
  EXPECT_EQ(label.attributes.at("superseded"), "true");
  EXPECT_EQ(label.attributes.at("class_now"), "green");
  EXPECT_EQ(Node(*lineage, "label-0").attributes.count("superseded"), 0u);
}

TEST_F(LineageTracerTest, ServiceThatDoesNotAnswerIsNamed) {
  world_.training_failure = Error{ErrorCode::kUnavailable, "training: connection refused"};

  const auto lineage = tracer_.TracePrediction("request-1", 0);

  ASSERT_FALSE(lineage.ok());
  EXPECT_EQ(lineage.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(lineage.error().message.find("training"), std::string::npos);
}

TEST_F(LineageTracerTest, GapFurtherDownIsPartOfTheAnswer) {
  world_.runs.clear();

  const auto lineage = tracer_.TraceModelVersion("model-1", 0);

  ASSERT_TRUE(lineage.ok());
  EXPECT_EQ(Node(*lineage, "run-1").attributes.count("missing"), 1u);
}

TEST_F(LineageTracerTest, UnknownSubjectIsNotFound) {
  for (const auto& lineage :
       {tracer_.TracePrediction("none", 0), tracer_.TraceModelVersion("none", 0),
        tracer_.TraceRun("none", 0), tracer_.TraceDatasetVersion(DatasetVersionId("none"), 0),
        tracer_.TraceSample(SampleId("none"))}) {
    ASSERT_FALSE(lineage.ok());
    EXPECT_EQ(lineage.error().code, ErrorCode::kNotFound);
  }
}

TEST_F(LineageTracerTest, SampleKnowsItsVotesAndDatasets) {
  world_.datasets = {DatasetVersionId("dataset-1")};

  const auto lineage = tracer_.TraceSample(SampleId("sample-0"));

  ASSERT_TRUE(lineage.ok());
  EXPECT_EQ(lineage->nodes.front().id, "sample-0");
  EXPECT_EQ(lineage->votes, 2u);
  EXPECT_TRUE(Linked(*lineage, "sample-0", "labeled by", "label-0"));
  EXPECT_TRUE(Linked(*lineage, "dataset-1", "contains", "sample-0"));
}

TEST_F(LineageTracerTest, NumberOfSamplesIsBounded) {
  for (const int samples : {-1, 101}) {
    const auto lineage = tracer_.TraceRun("run-1", samples);
    ASSERT_FALSE(lineage.ok());
    EXPECT_EQ(lineage.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST_F(LineageTracerTest, ACycleLeadsToItsAlertItsSamplesItsGateAndWhatItMade) {
  CycleFacts cycle;
  cycle.cycle_id = "cycle-1";
  cycle.task = "lights";
  cycle.state = "promoted";
  cycle.trigger = "alert";
  cycle.alert_id = "alert-1";
  cycle.alert_cause = "data_drift";
  cycle.candidate_model_version_id = "model-1";
  cycle.gate_evaluation_id = "gate-1";
  cycle.criteria = {{"better_on_new", "pass: 9 pairs won"}};
  cycle.chosen = {{"sample-0", "drifted"}, {"sample-2", "random"}};
  cycle.acquired = 2;
  cycle.decisions = {
      {Timestamp(std::chrono::seconds(10)), "started", "alert:alert-1", "damage 0.2"},
      {Timestamp(std::chrono::seconds(20)), "paused", "ann", ""}};
  world_.cycles["cycle-1"] = cycle;

  const auto traced = tracer_.TraceCycle("cycle-1", 5);
  ASSERT_TRUE(traced.ok()) << traced.error().message;
  EXPECT_EQ(traced->nodes.front().kind, "cycle");
  std::vector<std::string> decided;
  for (const auto& [name, value] : traced->nodes.front().attributes) {
    if (name.starts_with("decided ")) decided.push_back(value);
  }
  EXPECT_THAT(decided,
              ::testing::ElementsAre("started by alert:alert-1: damage 0.2", "paused by ann"));
  std::map<std::string, int> kinds;
  for (const auto& node : traced->nodes) ++kinds[node.kind];
  EXPECT_EQ(kinds["alert"], 1);
  EXPECT_EQ(kinds["gate"], 1);
  EXPECT_EQ(kinds["model version"], 1);
  EXPECT_EQ(kinds["run"], 1);
  EXPECT_EQ(kinds["dataset version"], 1);
  EXPECT_EQ(kinds["sample"], 3);  // Two chosen ones stand in the dataset version too.
  const auto chose = std::find_if(traced->edges.begin(), traced->edges.end(), [](const auto& edge) {
    return edge.from_id == "cycle-1" && edge.to_id == "sample-2";
  });
  ASSERT_NE(chose, traced->edges.end());
  EXPECT_EQ(chose->relation, "chose as random");
  EXPECT_EQ(tracer_.TraceCycle("cycle-9", 5).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace tidewheel::curation
