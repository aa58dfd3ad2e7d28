#include "tidewheel/vision/render/street_light.h"

#include <algorithm>
#include <string>

namespace tidewheel::vision::render {
namespace {

class Dice {
 public:
  explicit Dice(Random& random) : random_(random) {}

  double Between(double low, double high) { return low + (high - low) * random_.Uniform(); }
  int Count(int low, int high) {
    return low + static_cast<int>(random_.Below(static_cast<std::uint64_t>(high - low + 1)));
  }
  bool Chance(double share) { return random_.Uniform() < share; }

  /// Near `base`: brightness times 1 -+ `spread`, each channel moved by up to `tint`.
  Colour Near(const Colour& base, double spread, double tint) {
    const double gain = Between(1 - spread, 1 + spread);
    const auto vary = [&](double value) {
      return std::clamp(value * gain + Between(-tint, tint), 0.0, 1.0);
    };
    const double red = vary(base.red);
    const double green = vary(base.green);
    return {red, green, vary(base.blue)};
  }
  template <std::size_t kCount>
  Colour OneOf(const std::array<Colour, kCount>& colours) {
    return colours[random_.Below(kCount)];
  }

 private:
  Random& random_;
};

// Walls, roofs and shop signs carry all the lamps' colours, so that the mean colour tells little.
constexpr std::array<Colour, 9> kWalls = {{{0.62, 0.30, 0.22},
                                           {0.70, 0.62, 0.48},
                                           {0.50, 0.50, 0.52},
                                           {0.30, 0.34, 0.42},
                                           {0.78, 0.74, 0.68},
                                           {0.66, 0.18, 0.16},
                                           {0.82, 0.68, 0.24},
                                           {0.24, 0.50, 0.34},
                                           {0.32, 0.58, 0.56}}};
constexpr std::array<Colour, 4> kSkies = {
    {{0.45, 0.62, 0.85}, {0.75, 0.80, 0.86}, {0.62, 0.64, 0.66}, {0.86, 0.72, 0.58}}};
constexpr std::array<Colour, 4> kLeaves = {
    {{0.20, 0.36, 0.14}, {0.34, 0.46, 0.16}, {0.60, 0.44, 0.14}, {0.52, 0.22, 0.14}}};
constexpr std::array<Colour, 6> kDistantLights = {{{1.0, 0.62, 0.25},
                                                   {1.0, 0.9, 0.75},
                                                   {0.8, 0.9, 1.0},
                                                   {1.0, 0.15, 0.10},
                                                   {0.15, 0.85, 0.45},
                                                   {1.0, 0.75, 0.15}}};
constexpr std::array<Colour, 4> kHousings = {
    {{0.08, 0.08, 0.09}, {0.10, 0.16, 0.12}, {0.55, 0.44, 0.10}, {0.28, 0.29, 0.30}}};
constexpr std::array<Colour, 3> kUnlit = {
    {{0.30, 0.07, 0.06}, {0.32, 0.23, 0.06}, {0.05, 0.24, 0.17}}};
// Bulbs glow warmer and less pure than diodes.
constexpr std::array<Colour, 3> kBulbs = {
    {{1.0, 0.22, 0.12}, {1.0, 0.72, 0.18}, {0.30, 0.95, 0.55}}};
constexpr std::array<Colour, 3> kLeds = {
    {{1.0, 0.10, 0.12}, {1.0, 0.62, 0.05}, {0.08, 0.98, 0.66}}};

void PlaceLight(Dice& dice, StreetLightScene& scene) {
  scene.horizontal = dice.Chance(0.3);
  scene.led = dice.Chance(0.5);
  const int longer = dice.Count(36, 88);
  scene.half_length = dice.Between(0.37, 0.53);
  scene.half_breadth = scene.half_length * dice.Between(0.34, 0.46);
  const double breadth = std::clamp(2 * scene.half_breadth * dice.Between(1.0, 1.7), 0.36, 0.85);
  const int shorter = std::max(16, static_cast<int>(longer * breadth + 0.5));
  scene.width = scene.horizontal ? longer : shorter;
  scene.height = scene.horizontal ? shorter : longer;
  const double across = static_cast<double>(shorter) / longer;

  const double along_centre = 0.5 + dice.Between(-0.06, 0.06);
  const double across_centre = across / 2 + dice.Between(-0.05, 0.05);
  scene.centre_x = scene.horizontal ? along_centre : across_centre;
  scene.centre_y = scene.horizontal ? across_centre : along_centre;
  scene.tilt = dice.Between(-0.10, 0.10);
  scene.corner = scene.half_breadth * dice.Between(0.05, 0.9);
  scene.lamp_pitch = scene.half_length * dice.Between(0.58, 0.64);
  scene.lamp_radius =
      std::min(scene.lamp_pitch * dice.Between(0.34, 0.46), scene.half_breadth * 0.92);
  if (dice.Chance(0.35)) scene.backplate = dice.Between(0.03, 0.08);
  scene.backplate_edge = dice.Chance(0.5) ? Colour{0.85, 0.75, 0.2} : Colour{0.85, 0.85, 0.82};
}

void Paint(Dice& dice, StreetLightScene& scene) {
  const bool night = scene.condition == Condition::kNight;
  const auto lit_index = static_cast<std::size_t>(scene.signal);
  const double ambient = night ? dice.Between(0.12, 0.45) : 1;
  const auto dim = [&](const Colour& colour) {
    return Colour{colour.red * ambient, colour.green * ambient, colour.blue * ambient};
  };
  scene.housing = dim(dice.Near(dice.OneOf(kHousings), 0.35, 0.03));
  scene.backplate_edge = dim(scene.backplate_edge);
  for (std::size_t i = 0; i < kUnlit.size(); ++i) {
    scene.unlit[i] = dim(dice.Near(kUnlit[i], 0.5, 0.05));
  }
  scene.lit = dice.Near((scene.led ? kLeds : kBulbs)[lit_index], 0.08, 0.06);
  const double brightness = dice.Between(night ? 1.0 : 0.85, night ? 1.7 : 1.3);
  scene.lit = {scene.lit.red * brightness, scene.lit.green * brightness,
               scene.lit.blue * brightness};
  scene.led_pitch = scene.lamp_radius * dice.Between(0.28, 0.5);
  scene.bulb_core = dice.Between(0.1, night ? 0.9 : 0.6);
  scene.hood_shadow = dice.Chance(0.6) ? dice.Between(0.15, 0.6) : 0;
  scene.glow = night ? dice.Between(0.15, 0.6) : dice.Between(0, 0.15);
  scene.glow_radius = scene.lamp_radius * dice.Between(1.0, night ? 2.2 : 1.5);
}

void AddBackground(Dice& dice, StreetLightScene& scene) {
  const bool night = scene.condition == Condition::kNight;
  const double right = scene.horizontal ? 1 : static_cast<double>(scene.width) / scene.height;
  const double bottom = scene.horizontal ? static_cast<double>(scene.height) / scene.width : 1;
  const double ambient = night ? dice.Between(0.05, 0.22) : dice.Between(0.6, 1.1);
  const auto dim = [&](const Colour& colour) {
    return Colour{colour.red * ambient, colour.green * ambient, colour.blue * ambient};
  };
  const Colour sky = dice.OneOf(kSkies);
  scene.sky_top = dim(dice.Near(sky, 0.15, 0.06));
  scene.sky_bottom = dim(dice.Near(sky, 0.15, 0.08));

  for (int i = dice.Count(1, 5); i > 0; --i) {
    StreetLightScene::Block block;
    block.left = dice.Between(-0.3, 0.8) * right;
    block.right = block.left + dice.Between(0.2, 0.9) * right;
    block.top = dice.Between(0.0, 0.9) * bottom;
    block.bottom = dice.Chance(0.7) ? bottom : block.top + dice.Between(0.1, 0.5) * bottom;
    block.colour = dim(dice.Near(dice.OneOf(kWalls), 0.3, 0.08));
    if (dice.Chance(0.5)) {
      block.window_pitch = dice.Between(0.05, 0.14);
      block.windows = night && dice.Chance(0.6) ? dice.Near({0.7, 0.55, 0.3}, 0.4, 0.1)
                                                : dim(dice.Near({0.3, 0.34, 0.4}, 0.5, 0.05));
    }
    scene.blocks.push_back(block);
  }
  if (!night && dice.Chance(0.55)) {
    const Colour leaves = dice.OneOf(kLeaves);
    const double x = dice.Between(0, right);
    const double y = dice.Between(0, bottom);
    for (int i = dice.Count(6, 16); i > 0; --i) {
      const double blob_x = x + dice.Between(-0.25, 0.25);
      const double blob_y = y + dice.Between(-0.3, 0.3);
      scene.blobs.push_back(
          {blob_x, blob_y, dice.Between(0.03, 0.12), dim(dice.Near(leaves, 0.45, 0.05)), false});
    }
  }
  // Brake lights and signs, by day fewer and paler.
  for (int i = night ? dice.Count(2, 7) : dice.Count(0, 2); i > 0; --i) {
    const double x = dice.Between(0, right);
    const double y = dice.Between(0, bottom);
    const double radius = dice.Between(0.008, night ? 0.035 : 0.025);
    scene.blobs.push_back({x, y, radius, dice.Near(dice.OneOf(kDistantLights), 0.3, 0.1), true});
  }
  if (scene.condition == Condition::kGlare) {
    scene.sun = dice.Between(0.35, 0.9);
    scene.sun_radius = dice.Between(0.07, 0.2);
    scene.sun_x = dice.Between(-0.1, 1.1) * right;
    scene.sun_y = dice.Between(-0.1, 0.7) * bottom;
    scene.haze = dice.Between(0, 0.15);
  }
}

void ChooseCamera(Dice& dice, Random& random, StreetLightScene& scene) {
  const bool night = scene.condition == Condition::kNight;
  scene.exposure = dice.Between(0.75, scene.condition == Condition::kGlare ? 1.1 : 1.25);
  scene.cast = {dice.Between(0.84, 1.16), dice.Between(0.90, 1.10), dice.Between(0.84, 1.16)};
  scene.blur = dice.Between(0.8, 1.8);
  scene.noise = night ? dice.Between(0.01, 0.04) : dice.Between(0.004, 0.02);
  scene.noise_seed = random.Next();
}

}  // namespace

std::string_view Name(Signal signal) {
  switch (signal) {
    case Signal::kRed:
      return "red";
    case Signal::kYellow:
      return "yellow";
    case Signal::kGreen:
      return "green";
  }
  return "unknown";
}

std::string_view Name(Condition condition) {
  switch (condition) {
    case Condition::kDay:
      return "day";
    case Condition::kNight:
      return "night";
    case Condition::kGlare:
      return "glare";
  }
  return "unknown";
}

Result<Signal> ParseSignal(std::string_view name) {
  for (const Signal signal : kSignals) {
    if (Name(signal) == name) return signal;
  }
  return Error{ErrorCode::kInvalidArgument,
               "signal '" + std::string(name.substr(0, 40)) + "' is not red, yellow or green"};
}

StreetLightScene RandomScene(Random& random, Signal signal, Condition condition) {
  Dice dice(random);
  StreetLightScene scene;
  scene.signal = signal;
  scene.condition = condition;
  PlaceLight(dice, scene);
  Paint(dice, scene);
  AddBackground(dice, scene);
  ChooseCamera(dice, random, scene);
  return scene;
}

}  // namespace tidewheel::vision::render
