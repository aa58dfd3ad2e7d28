#include "tidewheel/ml/graph/architecture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tidewheel/ml/graph/embedding.h"
#include "tidewheel/ml/graph/torchscript_source.h"
#include "tidewheel/ml/graph/weights.h"

namespace tidewheel::ml {
namespace {

using ::testing::HasSubstr;

TEST(ArchitectureTest, PlanWorksOutEveryParameter) {
  const Architecture architecture{
      {3, 9, 7}, 5, {Conv2d{4, 3, 1}, Relu{}, MaxPool{2}, Conv2d{2, 2, 0}, Flatten{}, Linear{5}}};

  const auto plan = PlanArchitecture(architecture).value();

  ASSERT_EQ(plan.parameters.size(), 6u);
  EXPECT_EQ(plan.parameters[0].shape, (std::vector<std::int64_t>{4, 3, 3, 3}));
  EXPECT_EQ(plan.parameters[0].fan_in, 27);
  EXPECT_TRUE(plan.parameters[0].before_relu);
  EXPECT_EQ(plan.parameters[2].shape, (std::vector<std::int64_t>{2, 4, 2, 2}));
  EXPECT_FALSE(plan.parameters[2].before_relu);
  // 9 x 7, pooled to 4 x 3, convolved to 3 x 2 of two channels.
  EXPECT_EQ(plan.parameters[4].shape, (std::vector<std::int64_t>{5, 12}));
  EXPECT_EQ(plan.parameters[5].shape, (std::vector<std::int64_t>{5}));
  EXPECT_EQ(plan.flops_per_row, 2 * (27 * 4 * 63 + 16 * 2 * 6 + 12 * 5));
}

TEST(ArchitectureTest, LayersThatDoNotFitAreNamed) {
  const ImageShape shape{1, 4, 4};
  const std::pair<std::vector<Layer>, std::string> wrong[] = {
      {{Linear{2}}, "layer 0: linear before flatten"},
      {{Flatten{}, Conv2d{1, 3, 1}}, "layer 1: conv2d after flatten"},
      {{Flatten{}, Flatten{}}, "layer 1: flatten after flatten"},
      {{Conv2d{1, 5, 0}}, "layer 0: conv2d's kernel is larger"},
      {{Conv2d{0, 3, 1}}, "layer 0: conv2d wants"},
      {{Conv2d{1, 3, 3}}, "layer 0: conv2d wants"},
      {{MaxPool{5}}, "layer 0: maxpool of 5 on 4 x 4"},
      {{Flatten{}, Dropout{1.0}}, "layer 1: dropout's rate"},
      {{Flatten{}, Linear{3}}, "end in 3 outputs"},
      {{Relu{}}, "end in 0 outputs"},
      {{Conv2d{65536, 3, 1}, Conv2d{65536, 3, 1}}, "layer 1: more than 268435456 parameters"},
  };
  for (const auto& [layers, message] : wrong) {
    const auto plan = PlanArchitecture({shape, 2, layers});
    ASSERT_FALSE(plan.ok()) << message;
    EXPECT_EQ(plan.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(plan.error().message, HasSubstr(message));
  }
  EXPECT_FALSE(PlanArchitecture({{0, 4, 4}, 2, {Flatten{}, Linear{2}}}).ok());
  EXPECT_FALSE(PlanArchitecture({shape, 1, {Flatten{}, Linear{1}}}).ok());
}

TEST(ArchitectureTest, TextIsReadBackAsItWas) {
  const Architecture architecture{{3, 32, 32},
                                  7,
                                  {Conv2d{8, 5, 2}, Relu{}, MaxPool{2}, GlobalAveragePool{},
                                   Flatten{}, Dropout{0.1}, Linear{7}}};

  EXPECT_EQ(ParseArchitecture(PrintArchitecture(architecture)).value(), architecture);
}

TEST(ArchitectureTest, TextThatCannotBeReadNamesItsLine) {
  const std::string head = "input channels=1 height=4 width=4\nclasses count=2\n";
  for (const std::string line : {"attention heads=8", "linear", "linear outputs=two",
                                 "linear outputs=2 bias=0", "relu x=1", ""}) {
    const auto parsed = ParseArchitecture(head + "flatten\n" + line + "\n");
    ASSERT_FALSE(parsed.ok()) << line;
    EXPECT_THAT(parsed.error().message, HasSubstr("line 4"));
  }
  EXPECT_FALSE(ParseArchitecture("").ok());
  EXPECT_FALSE(ParseArchitecture(head).ok());
}

TEST(RecipeTest, EveryRecipeMakesASoundArchitecture) {
  for (const auto name : RecipeNames()) {
    for (const ImageShape shape :
         {ImageShape{1, 28, 28}, ImageShape{3, 32, 32}, ImageShape{3, 5, 9}}) {
      const auto made = MakeArchitecture(name, shape, 10);
      ASSERT_TRUE(made.ok()) << made.error().message;
      EXPECT_EQ(ParseArchitecture(PrintArchitecture(*made)).value(), *made);
    }
  }
}

TEST(RecipeTest, UnknownNamesAndImpossibleShapesAreRefused) {
  EXPECT_EQ(MakeArchitecture("image-vit", {1, 8, 8}, 2).error().code, ErrorCode::kNotFound);
  EXPECT_THAT(MakeArchitecture("image-vit", {1, 8, 8}, 2).error().message, HasSubstr("image-cnn"));
  EXPECT_THAT(MakeArchitecture("image-cnn", {1, 3, 3}, 2).error().message, HasSubstr("maxpool"));
}

TEST(WeightsTest, SeedDecidesEveryBit) {
  const auto plan = PlanArchitecture(MakeArchitecture("image-cnn", {1, 12, 12}, 3).value()).value();

  EXPECT_EQ(InitialWeights(plan, 5), InitialWeights(plan, 5));
  EXPECT_NE(InitialWeights(plan, 5), InitialWeights(plan, 6));
  // Written down so that a change of the numbers between releases is noticed.
  EXPECT_EQ(InitialWeights(plan, 5)[0].elements[0], -0.34552303f);
}

TEST(WeightsTest, VarianceIsWhatTheLayerAfterwardsAsksFor) {
  const Architecture architecture{{1, 20, 20}, 40, {Flatten{}, Linear{300}, Relu{}, Linear{40}}};
  const auto weights = InitialWeights(PlanArchitecture(architecture).value(), 1);
  const auto variance = [](const NamedTensor& tensor) {
    double sum = 0;
    for (const float element : tensor.elements) sum += double{element} * double{element};
    return sum / static_cast<double>(tensor.elements.size());
  };

  EXPECT_NEAR(variance(weights[0]) * 400, 2, 0.05);
  EXPECT_NEAR(variance(weights[2]) * 300, 1, 0.05);
  EXPECT_EQ(variance(weights[1]), 0);
}

TEST(EmbeddingTest, TheMatrixIsTheArchitecturesAndKeepsLengthsInExpectation) {
  const auto architecture = MakeArchitecture("image-cnn", {3, 8, 8}, 3, 400).value();
  const auto plan = PlanArchitecture(architecture).value();
  const Projection projection = ProjectionOf(architecture, plan);

  EXPECT_EQ(plan.last_linear, 10u);
  EXPECT_EQ(projection.inputs, 128);
  ASSERT_EQ(projection.matrix.size(), 128u * 400);
  double squares = 0;
  for (const float element : projection.matrix) squares += double{element} * double{element};
  EXPECT_NEAR(squares / 400, 1, 0.03);
  EXPECT_EQ(ProjectionOf(architecture, plan).matrix, projection.matrix);

  const auto other = MakeArchitecture("image-cnn", {3, 8, 8}, 4, 400).value();
  EXPECT_NE(ProjectionOf(other, PlanArchitecture(other).value()).seed, projection.seed);
}

TEST(EmbeddingTest, ItIsWrittenOnlyWhereThereIsOneAndReadBack) {
  const auto with = MakeArchitecture("image-linear", {1, 4, 4}, 2).value();
  EXPECT_EQ(with.embedding, kDefaultEmbeddingNumbers);
  EXPECT_THAT(PrintArchitecture(with), HasSubstr("embedding numbers=16\n"));
  EXPECT_EQ(ParseArchitecture(PrintArchitecture(with)).value(), with);
  // What was written before there were embeddings.
  const auto before = MakeArchitecture("image-linear", {1, 4, 4}, 2, 0).value();
  EXPECT_THAT(PrintArchitecture(before), ::testing::Not(HasSubstr("embedding")));
  EXPECT_EQ(ParseArchitecture(PrintArchitecture(before)).value().embedding, 0);
  for (const std::string line : {"embedding numbers=0", "embedding", "embedding numbers=2000",
                                 "embedding numbers=3\nembedding numbers=3"}) {
    EXPECT_FALSE(ParseArchitecture(PrintArchitecture(before) + line + "\n").ok()) << line;
  }
}

TEST(EmbeddingTest, ItNeedsALinearLayer) {
  const auto plan =
      PlanArchitecture({{1, 4, 4}, 2, {Conv2d{2, 3, 1}, GlobalAveragePool{}, Flatten{}}, 8});
  ASSERT_FALSE(plan.ok());
  EXPECT_THAT(plan.error().message, HasSubstr("needs a linear layer"));
}

TEST(TorchScriptSourceTest, EveryParameterIsUsedOnce) {
  const auto architecture = MakeArchitecture("image-cnn", {3, 8, 8}, 3).value();
  const auto plan = PlanArchitecture(architecture).value();

  const std::string source = PrintTorchScript(architecture, plan);

  for (const Parameter& parameter : plan.parameters) {
    const auto first = source.find("self." + parameter.name);
    ASSERT_NE(first, std::string::npos) << parameter.name;
    EXPECT_EQ(source.find("self." + parameter.name, first + 1), std::string::npos);
  }
}

}  // namespace
}  // namespace tidewheel::ml
