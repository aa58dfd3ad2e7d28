#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace tidewheel::model_registry {

struct PageRequest {
  std::size_t size = 100;
  std::string token;  // Empty: the first page.
};

template <typename T>
struct Page {
  std::vector<T> items;
  std::string next_token;  // Empty: this was the last.
};

}  // namespace tidewheel::model_registry
