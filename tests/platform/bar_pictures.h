#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tidewheel::tests {

/// A tiny learning problem that needs no files: a bar that stands, lies or slants, with noise.
inline const std::vector<std::string> kBarClasses = {"standing", "lying", "slanting"};

/// A task of that name over these classes: no look-alikes, a fifth for testing.
std::string BarTaskYaml(const std::string& name);

struct BarPicture {
  std::string name;
  std::string payload;  // PGM of 28 x 28.
  std::string class_name;
};

/// The picture with this number; the same on every machine, and no two alike.
BarPicture MakeBarPicture(std::uint64_t number);

}  // namespace tidewheel::tests
