#pragma once

#include "tidewheel/vision/image.h"
#include "tidewheel/vision/render/street_light.h"

namespace tidewheel::vision::render {

/// The picture a camera would take of the scene: RGB, scene.width x scene.height. The same scene
/// gives the same pixels on every machine. Reentrant.
Image Render(const StreetLightScene& scene);

}  // namespace tidewheel::vision::render
