#include <atomic>

#include "tidewheel/base/random.h"
#include "tidewheel/cli/demo/picture_supply.h"
#include "tidewheel/cli/demo/task_files.h"
#include "tidewheel/vision/encode.h"
#include "tidewheel/vision/render/street_light.h"
#include "tidewheel/vision/render/street_light_renderer.h"

namespace tidewheel::cli::demo {
namespace {

using vision::render::Condition;
using vision::render::Signal;

constexpr std::uint64_t kYellowEvery = 33;
constexpr double kNightShare = 0.35;
constexpr double kGlareShare = 0.15;
constexpr int kJpegQuality = 92;

/// Street lights, each drawn from the seed and its place alone, so that any thread may draw any.
class StreetLights final : public PictureSupply {
 public:
  StreetLights(std::uint64_t count, std::uint64_t seed) : seed_(seed) {
    traits_.title = "street lights drawn by the built-in renderer";
    traits_.task_yaml = kStreetLightsYaml;
    traits_.classes = {"red", "yellow", "green"};
    traits_.rarest_class = 1;
    traits_.confusions = {{1, 0, 0.5}, {2, 1, 0.05}};
    traits_.expected = count;
    traits_.source = "renderer";
  }

  const SupplyTraits& traits() const override { return traits_; }

  Result<std::optional<GivenPicture>> Next() override {
    const std::uint64_t place = next_++;
    if (place >= traits_.expected) return std::optional<GivenPicture>();
    Random random(StableHash("street light " + std::to_string(place), seed_));
    const bool green = random.Uniform() < 0.45;
    const Signal signal = place % kYellowEvery == kYellowEvery / 2 ? Signal::kYellow
                          : green                                  ? Signal::kGreen
                                                                   : Signal::kRed;
    const double weather = random.Uniform();
    const Condition condition = weather < kNightShare                 ? Condition::kNight
                                : weather < kNightShare + kGlareShare ? Condition::kGlare
                                                                      : Condition::kDay;
    const auto scene = vision::render::RandomScene(random, signal, condition);
    auto payload = vision::EncodeJpeg(vision::render::Render(scene), kJpegQuality);
    if (!payload) return payload.error();

    GivenPicture given;
    given.place = place;
    given.class_index = static_cast<std::size_t>(signal);
    given.picture.name =
        "street-lights/" + std::to_string(seed_) + "/" + std::to_string(place) + ".jpg";
    given.picture.group = given.picture.name;
    given.picture.payload = *std::move(payload);
    given.picture.metadata = {{"condition", std::string(Name(condition))},
                              {"housing", scene.horizontal ? "horizontal" : "vertical"},
                              {"lamp", scene.led ? "led" : "bulb"}};
    return std::optional(std::move(given));
  }

 private:
  const std::uint64_t seed_;
  SupplyTraits traits_;
  std::atomic<std::uint64_t> next_ = 0;
};

}  // namespace

std::unique_ptr<PictureSupply> RenderPictures(std::uint64_t count, std::uint64_t seed) {
  return std::make_unique<StreetLights>(count, seed);
}

}  // namespace tidewheel::cli::demo
