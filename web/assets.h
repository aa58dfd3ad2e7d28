#pragma once

#include <string_view>
#include <vector>

namespace tidewheel::web {

/// One file of the page, as part of this program.
struct Asset {
  std::string_view path;  // "/style.css".
  std::string_view content_type;
  std::string_view bytes;
  std::string_view digest;  // SHA-256, hexadecimal.
};

const std::vector<Asset>& AllAssets();

/// Null when there is no such file.
const Asset* FindAsset(std::string_view path);

}  // namespace tidewheel::web
