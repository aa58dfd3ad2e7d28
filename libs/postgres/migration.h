#pragma once

#include <string_view>

namespace tidewheel::postgres {

/// One file NNNN_verb_noun.sql, embedded by the CMake function tidewheel_migrations.
struct Migration {
  int version = 0;          // From 1, without a gap.
  std::string_view name;    // "0001_create_samples".
  std::string_view sha256;  // Of the file's bytes, 64 hexadecimal digits.
  std::string_view sql;     // One or more statements; no BEGIN or COMMIT.
};

}  // namespace tidewheel::postgres
