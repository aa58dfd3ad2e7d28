#include "tidewheel/config/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidewheel::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Yaml Parsed(std::string_view text) {
  auto document = Yaml::Parse(text, "task.yaml");
  EXPECT_TRUE(document.ok()) << (document ? "" : document.error().message);
  return std::move(document).value();
}

std::string Refused(std::string_view text) {
  const auto document = Yaml::Parse(text, "task.yaml");
  return document ? "accepted" : document.error().message;
}

TEST(YamlTest, TypedValuesAreReadAndTheRestKeepsItsDefault) {
  auto document = Parsed(
      "name: traffic\nclasses:\n  - {name: red, weight: 1.5}\n  - name: green\n"
      "size: 32\nwait: 5s\nlimit: 16MiB\nflag: true\n");
  std::string name;
  int size = 0;
  bool flag = false;
  std::chrono::milliseconds wait{};
  ByteCount limit;
  double weight = 1;
  std::string missing = "default";
  const auto root = document.Root();

  EXPECT_TRUE(root.Require("name", &name));
  EXPECT_TRUE(root.Read("size", &size, 1, 64));
  EXPECT_TRUE(root.Read("flag", &flag));
  EXPECT_TRUE(root.Read("wait", &wait));
  EXPECT_TRUE(root.Read("limit", &limit));
  EXPECT_FALSE(root.Read("missing", &missing));
  std::vector<std::string> classes;
  for (const auto& item : root.Field("classes").Items()) {
    std::string text;
    item.Require("name", &text);
    item.Read("weight", &weight);
    classes.push_back(text);
  }

  EXPECT_TRUE(document.Finish().ok());
  EXPECT_EQ(name, "traffic");
  EXPECT_EQ(size, 32);
  EXPECT_TRUE(flag);
  EXPECT_EQ(wait, std::chrono::seconds(5));
  EXPECT_EQ(limit, MiB(16));
  EXPECT_EQ(weight, 1.5);
  EXPECT_EQ(missing, "default");
  EXPECT_THAT(classes, ElementsAre("red", "green"));
}

TEST(YamlTest, AllProblemsComeTogetherWithLinesAndPaths) {
  auto document =
      Parsed("nmae: x\nsize: big\nclasses:\n  - name: red\n    wieght: 2\n  - weight: 3\n");
  std::string name;
  int size = 0;
  double weight = 0;
  const auto root = document.Root();
  root.Require("name", &name);
  root.Read("size", &size);
  for (const auto& item : root.Field("classes").Items()) {
    item.Require("name", &name);
    item.Read("weight", &weight);
  }
  root.Field("classes").Fail("must sum to 1");

  EXPECT_THAT(document.Problems(),
              ElementsAre("task.yaml:1: name: is needed",
                          "task.yaml:1: nmae: unknown key; did you mean \"name\"?",
                          "task.yaml:2: size: must be a whole number, not \"big\"",
                          "task.yaml:4: classes: must sum to 1",
                          "task.yaml:5: classes[0].wieght: unknown key; did you mean \"weight\"?",
                          "task.yaml:6: classes[1].name: is needed"));
  EXPECT_EQ(document.Finish().error().code, ErrorCode::kInvalidArgument);
}

TEST(YamlTest, LimitsAreNamed) {
  auto document = Parsed("a: 100\nb: -1\nc: 99999999999999999999\nd: 300\n");
  int a = 0;
  std::uint64_t c = 7;
  std::uint8_t d = 1;
  double b = 0;
  document.Root().Read("a", &a, 1, 64);
  document.Root().Read("b", &b, 0.0, 1.0);
  document.Root().Read("c", &c);
  document.Root().Read("d", &d);

  const std::string problems = document.Finish().error().message;
  EXPECT_THAT(problems, HasSubstr(":1: a: must be at most 64, not 100"));
  EXPECT_THAT(problems, HasSubstr(":2: b: must be at least 0, not -1"));
  EXPECT_THAT(problems, HasSubstr(":3: c: must be from 0 to 9223372036854775807"));
  EXPECT_THAT(problems, HasSubstr(":4: d: must be at most 255, not 300"));
  EXPECT_EQ(a, 0);
  EXPECT_EQ(c, 7U);
}

TEST(YamlTest, AQuotedNumberIsAText) {
  auto document = Parsed("a: \"5\"\nb: 'true'\n");
  int a = 0;
  bool b = false;
  std::string text;
  EXPECT_FALSE(document.Root().Read("a", &a));
  EXPECT_FALSE(document.Root().Read("b", &b));
  EXPECT_TRUE(document.Root().Read("a", &text));
  EXPECT_EQ(text, "5");
}

TEST(YamlTest, ChoicesAreListedWhenNoneFits) {
  auto document = Parsed("method: mayority\n");
  int method = 9;
  EXPECT_FALSE(document.Root().ReadEnum("method", &method, {{"majority", 1}, {"dawid_skene", 2}}));
  EXPECT_THAT(document.Finish().error().message,
              HasSubstr("must be one of majority, dawid_skene, not \"mayority\"; did you mean "
                        "\"majority\"?"));
}

TEST(YamlTest, AWrongShapeIsOneProblem) {
  auto document = Parsed("gate: high\nclasses: {a: 1}\n");
  double value = 0;
  document.Root().Field("gate").Read("accuracy", &value);
  document.Root().Field("gate").Read("recall", &value);
  EXPECT_THAT(document.Root().Field("classes").Items(), IsEmpty());

  EXPECT_THAT(document.Problems(), ElementsAre("task.yaml:1: gate: must be a map of keys to values",
                                               "task.yaml:2: classes: must be a list"));
}

TEST(YamlTest, KeysUnderASectionNobodyReadAreUnknown) {
  auto document = Parsed("a: {b: 1}\nc: {d: 2}\n");
  EXPECT_TRUE(document.Root().Has("a"));
  EXPECT_EQ(document.Root().Field("c").Entries().size(), 1U);
  EXPECT_THAT(document.Problems(), ElementsAre("task.yaml:1: a.b: unknown key"));
}

TEST(YamlTest, EmptyTextAndCommentsAreAnEmptyMap) {
  for (const char* text : {"", "\n", "# nothing\n", "---\n"}) {
    auto document = Parsed(text);
    EXPECT_EQ(document.Root().kind(), YamlNode::Kind::kMap) << text;
    EXPECT_TRUE(document.Finish().ok()) << text;
  }
}

TEST(YamlTest, DoubledKeysAliasesTagsAndSecondDocumentsAreRefused) {
  EXPECT_THAT(Refused("a: 1\nb: 2\na: 3\n"), HasSubstr("task.yaml:3: key \"a\" is there twice"));
  EXPECT_THAT(Refused("a: &x 1\nb: *x\n"), HasSubstr("anchors are not supported"));
  EXPECT_THAT(Refused("a: !!python/object x\n"), HasSubstr("tags are not supported"));
  EXPECT_THAT(Refused("a: 1\n---\nb: 2\n"), HasSubstr("more than one document"));
  EXPECT_THAT(Refused("[1, 2]: x\n"), HasSubstr("a key must be a text"));
  EXPECT_THAT(Refused("a: [1, 2\nb: 3\n"), HasSubstr("not YAML"));
  EXPECT_THAT(Refused("a: \"\\0\"\n"), HasSubstr("zero byte"));
  EXPECT_THAT(Refused("a: \"\xff\xfe\"\n"), HasSubstr("UTF-8"));
}

TEST(YamlTest, SizeDepthAndNumberOfValuesAreBounded) {
  EXPECT_THAT(Refused(std::string((1 << 20) + 1, '#')), HasSubstr("the limit is 1048576"));
  EXPECT_THAT(Refused(std::string(40, '[') + std::string(40, ']')), HasSubstr("deeper than 32"));
  EXPECT_NE(Refused(std::string(100'000, '[')), "accepted");
  std::string many = "[";
  for (int i = 0; i < 100'001; ++i) many += "1,";
  EXPECT_THAT(Refused(many + "1]"), HasSubstr("more than 100000 values"));
}

TEST(YamlTest, APartBecomesJson) {
  auto document = Parsed("p: {a: 1, b: [true, null, 0.5, \"7\", \"q\\\"\\n\"], c: x}\n");
  EXPECT_EQ(document.Root().Field("p").Json(),
            R"({"a":1,"b":[true,null,0.5,"7","q\"\u000a"],"c":"x"})");
  EXPECT_TRUE(document.Finish().ok());
}

TEST(YamlTest, NodesSurviveAMoveOfTheirDocument) {
  auto first = Parsed("a: 1\n");
  const auto root = first.Root();
  const Yaml second = std::move(first);
  int a = 0;
  EXPECT_TRUE(root.Read("a", &a));
  EXPECT_EQ(a, 1);
  EXPECT_TRUE(second.Finish().ok());
}

}  // namespace
}  // namespace tidewheel::config
