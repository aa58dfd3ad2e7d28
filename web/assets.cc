#include "tidewheel/web/assets.h"

#include <algorithm>

namespace tidewheel::web {

const Asset* FindAsset(std::string_view path) {
  const auto& assets = AllAssets();
  const auto found = std::find_if(assets.begin(), assets.end(),
                                  [&](const Asset& asset) { return asset.path == path; });
  return found == assets.end() ? nullptr : &*found;
}

}  // namespace tidewheel::web
