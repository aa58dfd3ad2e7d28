#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "tidewheel/vision/testing/real_pictures.h"

/// Sets `folder` to the data set of that name, or skips the test.
#define TIDEWHEEL_NEEDS_DATA(folder, name)                                                  \
  std::filesystem::path folder;                                                             \
  if (const auto data = ::tidewheel::vision::testing::FindDataFolder();                     \
      data && std::filesystem::exists(*data / (name))) {                                    \
    folder = *data / (name);                                                                \
  } else {                                                                                  \
    GTEST_SKIP() << "no data set " << (name) << " beside the checkout; set TIDEWHEEL_DATA"; \
  }
