// The platform's own models on both engines.
#include <gmock/gmock.h>

#include "tidewheel/base/random.h"
#include "tidewheel/inference/engine/torch/testing/torch_suite.h"
#include "tidewheel/ml/model.h"
#include "tidewheel/serving/engine.h"

namespace tidewheel::inference {
namespace {

using ::testing::ElementsAre;

class TorchRecipesTest : public TorchSuite {};

TEST_F(TorchRecipesTest, RecipesAnswerAsTheOtherEngineDoes) {
  auto engine = serving::Engine::Create({});
  ASSERT_TRUE(engine.ok()) << engine.error().message;
  for (const std::string_view recipe : ml::RecipeNames()) {
    const ml::ImageShape shape{3, 16, 12};
    const auto architecture = ml::MakeArchitecture(recipe, shape, 5);
    ASSERT_TRUE(architecture.ok());
    const auto model = ml::Model::Create(*architecture, 3);
    ASSERT_TRUE(model.ok());
    const auto path = folder_.path() / (std::string(recipe) + ".pt");
    ASSERT_TRUE(model->Save(path).ok());
    const auto onnx = model->Onnx();
    ASSERT_TRUE(onnx.ok());
    const auto other = (*engine)->LoadBytes(*onnx);
    ASSERT_TRUE(other.ok()) << other.error().message;

    const auto own = Start(path);
    ASSERT_TRUE(own.ok()) << own.error().message;
    ASSERT_EQ((*own)->spec().inputs.size(), 1U);
    EXPECT_THAT((*own)->spec().inputs[0].shape, ElementsAre(-1, 3, 16, 12));
    EXPECT_THAT((*own)->spec().outputs[0].shape, ElementsAre(-1, 5));
    EXPECT_GT((*own)->spec().max_batch_size, 1U);

    constexpr std::size_t kRows = 33;
    Random random(1);
    std::vector<float> rows(kRows * shape.elements());
    for (float& value : rows) value = static_cast<float>(random.Uniform());
    std::vector<float> expected(kRows * 5);
    std::vector<float> embedding(other.value()->signature().embedding
                                     ? kRows * other.value()->signature().embedding->elements()
                                     : 0);
    ASSERT_TRUE((*other)->Infer(rows, kRows, expected, embedding).ok());
    const auto answer = (*own)->Execute(std::vector{Floats(rows, {kRows, 3, 16, 12})});
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    const auto given = ValuesOf<float>((*answer)[0]);
    ASSERT_EQ(given.size(), expected.size());
    for (std::size_t i = 0; i < given.size(); ++i) {
      ASSERT_NEAR(given[i], expected[i], 1e-5) << recipe << ", number " << i;
    }
  }
}

}  // namespace
}  // namespace tidewheel::inference
