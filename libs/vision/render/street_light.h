#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/base/result.h"

namespace tidewheel::vision::render {

/// Which lamp is lit, in the order of the lamps: from the top, or from the left.
enum class Signal { kRed, kYellow, kGreen };
inline constexpr std::array<Signal, 3> kSignals = {Signal::kRed, Signal::kYellow, Signal::kGreen};

enum class Condition {
  kDay,    ///< Sky, houses, trees.
  kNight,  ///< Dark, with distant lights and a glow around the lamp.
  kGlare,  ///< Day, with the sun or its reflection in the picture.
};
inline constexpr std::array<Condition, 3> kConditions = {Condition::kDay, Condition::kNight,
                                                         Condition::kGlare};

/// "red", "yellow", "green": also the names of the demo's classes.
std::string_view Name(Signal signal);
/// "day", "night", "glare".
std::string_view Name(Condition condition);
/// kInvalidArgument: another word.
Result<Signal> ParseSignal(std::string_view name);

/// Linear steps of stored values: 0 black .. 1 full; more than 1 saturates.
struct Colour {
  double red = 0;
  double green = 0;
  double blue = 0;
};

/// All that a picture of a street light is made of. Lengths are in units of the picture's longer
/// side, places from its left upper corner.
struct StreetLightScene {
  struct Block {  // A house, a wall, a road.
    double left = 0, top = 0, right = 0, bottom = 0;
    Colour colour;
    double window_pitch = 0;  // 0: no windows.
    Colour windows;
  };
  struct Blob {  // Leaves by day, lights by night.
    double x = 0, y = 0, radius = 0;
    Colour colour;
    bool shines = false;
  };

  Signal signal = Signal::kRed;
  Condition condition = Condition::kDay;
  bool horizontal = false;
  bool led = false;  ///< Else a bulb behind a lens.
  int width = 0;     ///< Pixels.
  int height = 0;    ///< Pixels.

  Colour sky_top, sky_bottom;
  std::vector<Block> blocks{};
  std::vector<Blob> blobs{};

  double centre_x = 0, centre_y = 0;
  double tilt = 0;  ///< Tangent of the angle.
  double half_length = 0, half_breadth = 0, corner = 0;
  Colour housing;
  double backplate = 0;  ///< Breadth of the plate around the housing; 0: none.
  Colour backplate_edge;
  double lamp_pitch = 0, lamp_radius = 0;
  std::array<Colour, 3> unlit{};
  Colour lit;
  double led_pitch = 0;    ///< Between two diodes.
  double bulb_core = 0;    ///< White at a bulb's centre.
  double hood_shadow = 0;  ///< 0 none .. 1 black, on the upper part of each lamp.
  double glow = 0, glow_radius = 0;

  double sun = 0, sun_radius = 0, sun_x = 0, sun_y = 0;
  double haze = 0;  ///< Added everywhere.
  double exposure = 1;
  Colour cast{1, 1, 1};  ///< The camera's white balance.
  double blur = 1;       ///< Breadth of one pixel's view, in pixels.
  double noise = 0;      ///< Standard deviation, of 1.
  std::uint64_t noise_seed = 0;
};

/// A scene that differs in every respect but these two: vertical or horizontal, bulb or LED, size,
/// crop, background, weather, camera. The longer side has 36 to 88 pixels. The same state of
/// `random` gives the same scene on every machine.
StreetLightScene RandomScene(Random& random, Signal signal, Condition condition);

}  // namespace tidewheel::vision::render
