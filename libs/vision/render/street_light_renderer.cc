#include "tidewheel/vision/render/street_light_renderer.h"

#include <algorithm>
#include <cmath>

namespace tidewheel::vision::render {
namespace {

// Of one pixel, per axis.
constexpr int kSamples = 2;

void Add(Colour& to, const Colour& colour, double gain) {
  to.red += colour.red * gain;
  to.green += colour.green * gain;
  to.blue += colour.blue * gain;
}

Colour Mix(const Colour& a, const Colour& b, double share) {
  return {a.red + (b.red - a.red) * share, a.green + (b.green - a.green) * share,
          a.blue + (b.blue - a.blue) * share};
}

Colour Scaled(const Colour& colour, double gain) {
  return {colour.red * gain, colour.green * gain, colour.blue * gain};
}

// Falls from 1 at the centre to 1/4 at `radius` and on as the fourth power. No exponential: its
// last bits differ between C libraries.
double Falloff(double squared_distance, double radius) {
  const double ratio = 1 + squared_distance / (radius * radius);
  return 1 / (ratio * ratio);
}

double Square(double value) { return value * value; }

// Where `value` stands in a period, -0.5..0.5.
double Phase(double value, double period) {
  const double turns = value / period;
  return turns - std::floor(turns) - 0.5;
}

Colour Background(const StreetLightScene& scene, double x, double y) {
  const double bottom = scene.horizontal ? static_cast<double>(scene.height) / scene.width : 1.0;
  Colour colour = Mix(scene.sky_top, scene.sky_bottom, y / bottom);
  for (const auto& block : scene.blocks) {
    if (x < block.left || x > block.right || y < block.top || y > block.bottom) continue;
    const bool window = block.window_pitch > 0 &&
                        std::abs(Phase(x - block.left, block.window_pitch)) < 0.25 &&
                        std::abs(Phase(y - block.top, block.window_pitch * 1.4)) < 0.28;
    colour = window ? block.windows : block.colour;
  }
  for (const auto& blob : scene.blobs) {
    const double squared = Square(x - blob.x) + Square(y - blob.y);
    if (blob.shines) {
      Add(colour, blob.colour, Falloff(squared, blob.radius));
    } else if (squared < Square(blob.radius)) {
      colour = blob.colour;
    }
  }
  return colour;
}

// Inside a rectangle with round corners around the origin.
bool InPlate(double along, double across, double half_length, double half_breadth, double corner) {
  const double over_length = std::max(0.0, std::abs(along) - (half_length - corner));
  const double over_breadth = std::max(0.0, std::abs(across) - (half_breadth - corner));
  return Square(over_length) + Square(over_breadth) <= Square(corner);
}

// `right` and `down`: from the lamp's centre, in lamp radii.
Colour Lamp(const StreetLightScene& scene, std::size_t index, double right, double down) {
  const double squared = Square(right) + Square(down);
  // A lens is darker at its rim.
  Colour colour = Scaled(scene.unlit[index], 1.15 - 0.45 * squared);
  if (index == static_cast<std::size_t>(scene.signal)) {
    if (scene.led) {
      const double pitch = scene.led_pitch / scene.lamp_radius;
      const bool diode = Square(Phase(right, pitch)) + Square(Phase(down, pitch)) < 0.16;
      colour = Scaled(scene.lit, diode ? 1.2 : 0.55);
    } else {
      colour = Scaled(scene.lit, 1.1 - 0.35 * squared);
      Add(colour, {1, 1, 1}, scene.bulb_core * Falloff(squared, 0.35));
    }
    // The hood keeps the sky off the lens; it takes less of the lamp's own light.
    return down < -0.35 ? Scaled(colour, 1 - scene.hood_shadow / 3) : colour;
  }
  return down < -0.2 ? Scaled(colour, 1 - scene.hood_shadow) : colour;
}

Colour Shade(const StreetLightScene& scene, double x, double y) {
  const double norm = 1 / std::sqrt(1 + Square(scene.tilt));
  const double from_x = x - scene.centre_x;
  const double from_y = y - scene.centre_y;
  const double right = (from_x - scene.tilt * from_y) * norm;
  const double down = (from_y + scene.tilt * from_x) * norm;
  const double along = scene.horizontal ? right : down;
  const double across = scene.horizontal ? down : right;

  const double step = std::floor(along / scene.lamp_pitch + 0.5);
  const double lamp_along = along - step * scene.lamp_pitch;
  Colour colour;
  if (std::abs(step) <= 1 && Square(lamp_along) + Square(across) < Square(scene.lamp_radius)) {
    const double unit = 1 / scene.lamp_radius;
    colour = Lamp(scene, static_cast<std::size_t>(step + 1),
                  (scene.horizontal ? lamp_along : across) * unit,
                  (scene.horizontal ? across : lamp_along) * unit);
  } else if (InPlate(along, across, scene.half_length, scene.half_breadth, scene.corner)) {
    colour = Scaled(scene.housing, 1 - 0.25 * across / scene.half_breadth);
  } else if (scene.backplate > 0 && InPlate(along, across, scene.half_length + scene.backplate,
                                            scene.half_breadth + scene.backplate, scene.corner)) {
    const double inner = scene.backplate * 0.7;
    colour =
        InPlate(along, across, scene.half_length + inner, scene.half_breadth + inner, scene.corner)
            ? Scaled(scene.housing, 0.8)
            : scene.backplate_edge;
  } else {
    colour = Background(scene, x, y);
  }

  const double lit_along = (static_cast<double>(scene.signal) - 1) * scene.lamp_pitch;
  Add(colour, scene.lit,
      scene.glow * Falloff(Square(along - lit_along) + Square(across), scene.glow_radius));
  if (scene.sun > 0) {
    const double squared = Square(x - scene.sun_x) + Square(y - scene.sun_y);
    Add(colour, {1, 0.97, 0.9}, scene.sun * Falloff(squared, scene.sun_radius));
  }
  Add(colour, {1, 1, 1}, scene.haze);
  return colour;
}

// Mean 0, standard deviation 1, at most 3.5: the sum of four uniform numbers of 16 bits each.
double NearlyNormal(Random& random) {
  std::uint64_t bits = random.Next();
  double sum = 0;
  for (int i = 0; i < 4; ++i, bits >>= 16) sum += static_cast<double>(bits & 0xFFFF) / 65535.0;
  return (sum - 2) * 1.7320508075688772;
}

std::uint8_t Stored(double value) {
  return static_cast<std::uint8_t>(std::clamp(value, 0.0, 1.0) * 255 + 0.5);
}

}  // namespace

Image Render(const StreetLightScene& scene) {
  Image image = Image::Filled(scene.width, scene.height, 3, 0);
  Random random(scene.noise_seed);
  const double pixel = 1.0 / std::max({scene.width, scene.height, 1});
  const double gain = scene.exposure / (kSamples * kSamples);
  std::uint8_t* out = image.pixels.data();
  for (int y = 0; y < scene.height; ++y) {
    for (int x = 0; x < scene.width; ++x) {
      Colour sum;
      for (int sample = 0; sample < kSamples * kSamples; ++sample) {
        const auto place = [&](int at, int step) {
          return (at + 0.5 + scene.blur * ((step + 0.5) / kSamples - 0.5)) * pixel;
        };
        Add(sum, Shade(scene, place(x, sample % kSamples), place(y, sample / kSamples)), gain);
      }
      const std::array<double, 3> values = {sum.red * scene.cast.red, sum.green * scene.cast.green,
                                            sum.blue * scene.cast.blue};
      for (const double value : values) *out++ = Stored(value + scene.noise * NearlyNormal(random));
    }
  }
  return image;
}

}  // namespace tidewheel::vision::render
