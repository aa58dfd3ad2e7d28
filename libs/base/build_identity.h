#pragma once

#include <string_view>

namespace tidewheel {

/// Which code this program is. Runs record it.
struct BuildIdentity {
  std::string_view version;     // "0.1.0".
  std::string_view commit;      // Forty hexadecimal digits, or "unknown".
  bool clean = false;           // Whether the tree had no changes.
  std::string_view build_type;  // "Release" and so on.
};

BuildIdentity CurrentBuild();

}  // namespace tidewheel
